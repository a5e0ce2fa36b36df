"""Parameters arrive in a script as they were given: by every way, through a real process, whatever the value."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import config
from secondshift.config.parameter_files import clash
from secondshift.config.passing import Given, hydra_text
from secondshift.records.orders import Order
from secondshift.records.studies import Objective, Parameter, Passing, Space, Study, Value
from secondshift.runtime.executors.folders import write_order

ODD: dict[str, Value] = {
    "lr": 1e-05, "shift": -2.5e-08, "count": -3, "big": 2**53, "amp": True, "off": False, "text": "two words",
    "tongue": "물결 ✓ é",
    "quotes": "it's \"so\" \\ $HOME {lr} {value} ${x} ; rm -rf #%", "empty": "", "dash": "--lr", "line": "a\nb\tc",
    "model.name": "resnet-18", "model.depth": 4, "word": "true", "digits": "007", "zero": 0.0, "third": 1 / 3,
}  # fmt: skip
ARGPARSE = """\
import argparse, json, sys
parser = argparse.ArgumentParser()
for name in json.loads(sys.argv.pop(1)):
    parser.add_argument("--" + name, dest=name)
print(json.dumps(vars(parser.parse_args())))
"""


def study(passing: Passing, command: str = "python train.py", names: Sequence[str] = tuple(ODD)) -> Study:
    axes = tuple(Parameter(name=name, kind="categorical", choices=(0,)) for name in names)
    return Study(
        name="s", command=command, folder=".", objective=Objective(metric="loss"), horizon_steps=10,
        space=Space(parameters=axes), passing=passing,
    )  # fmt: skip


def start(
    passing: Passing,
    params: Mapping[str, Value] = ODD,
    command: str = "python train.py",
    names: Sequence[str] = tuple(ODD),
) -> Given:
    return config.given(study(passing, command, names), params, seed=1, checkpoint_dir="/c d", folder="/f g")


def text(value: Value) -> str:
    return (
        {True: "true", False: "false"}[value]
        if isinstance(value, bool)
        else value
        if isinstance(value, str)
        else repr(value)
    )


def ran(arguments: list[str], env: dict[str, str] | None = None) -> str:
    return subprocess.run(
        [sys.executable, "-c", *arguments], check=True, capture_output=True, text=True, timeout=20, env=env
    ).stdout


@pytest.mark.parametrize("style", ["--{name} {value}", "--{name}={value}"])
def test_flags_reach_argparse_exactly(style: str) -> None:
    command = start(Passing(via="flags", style=style)).command
    assert command[:2] == ("python", "train.py")
    got = json.loads(ran([ARGPARSE, json.dumps(list(ODD)), *command[2:]]))
    assert got == {name: text(value) for name, value in ODD.items()}
    assert float(got["third"]) == 1 / 3


def test_booleans_are_switches_or_pairs_where_the_script_wants_them() -> None:
    both = {"use_amp": True, "drop": False}
    switch = start(Passing(via="flags", style="--{dashed}={value}", booleans="switch"), both).command[2:]
    assert switch == ("--use-amp",)
    pair = start(Passing(via="flags", style="--{name} {value}", booleans="pair"), both).command[2:]
    assert pair == ("--use_amp", "--no-drop")
    assert start(Passing(via="flags"), both).command[2:] == ("--use_amp", "true", "--drop", "false")


def test_what_the_command_names_is_not_passed_twice_and_what_is_inactive_not_at_all() -> None:
    params = {"lr": 0.1, "text": "x"}
    names = ("lr", "text", "off")
    flags = start(Passing(via="flags"), params, "python t.py --rate {lr} --o {off}", names)
    assert flags.command == ("python", "t.py", "--rate", "0.1", "--text", "x")
    variables = start(Passing(via="env"), params, "python t.py --rate {lr}", names)
    assert variables.env == {"TEXT": "x"}


def test_variables_reach_the_script_exactly() -> None:
    env = start(Passing(via="env", variable="HP_{NAME}")).env
    assert env["HP_MODEL_NAME"] == "resnet-18"
    code = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('HP_')}))"
    got = json.loads(ran([code], env=dict(env)))
    assert got == {"HP_" + name.upper().replace(".", "_"): text(value) for name, value in ODD.items()}


def test_a_file_of_parameters_is_written_before_the_script_starts_and_read_back_exactly(tmp_path: Path) -> None:
    for file, read in (("p.json", json.loads), ("p.toml", tomllib.loads)):
        question = study(Passing(via="file", file=file), command="python t.py -c {params_file}")
        folder = tmp_path / file
        made = config.given(question, ODD, seed=1, checkpoint_dir="/c", folder=str(folder))
        order = Order(
            attempt="t1.a1", trial="t1", number=1, token=1, command=made.command, cwd="/", folder=str(folder),
            checkpoints=str(tmp_path / "c"), params=ODD, files=made.files,
        )  # fmt: skip
        write_order(order)
        path = Path(made.command[3])
        assert path.parent == folder / "given"
        flat = {k: v for k, v in ODD.items() if "." not in k}
        assert read(path.read_text("utf-8")) == {**flat, "model": {"name": "resnet-18", "depth": 4}}
        assert all(type(read(path.read_text("utf-8"))[name]) is type(value) for name, value in flat.items())


def test_a_flat_file_keeps_dots_in_names_and_a_flag_may_name_it() -> None:
    made = start(
        Passing(via="file", file="p.json", nested=False, flag="--config {params_file}"), {"a.b": 1}, names=("a.b",)
    )
    assert made.command[2:] == ("--config", "/f g/given/p.json")
    assert json.loads(made.files["given/p.json"]) == {"a.b": 1}


def test_the_text_for_none_is_null_where_that_can_be_said_and_else_left_out() -> None:
    params = {"clip": "none", "lr": 0.1}
    made = {via: start(Passing(via=via, none="none", file="p.json", style="{name}={value}"), params) for via in
            ("flags", "hydra", "env", "file")}  # fmt: skip
    assert made["flags"].command[2:] == ("lr=0.1",)
    assert made["hydra"].command[2:] == ("clip=null", "lr=0.1")
    assert made["env"].env == {"LR": "0.1"}
    assert json.loads(made["file"].files["given/p.json"]) == {"clip": None, "lr": 0.1}


def test_a_checkpoint_folder_is_passed_as_the_variable_the_script_reads() -> None:
    question = replace(study(Passing()), resume_env="CKPT_DIR")
    assert config.given(question, {}, seed=1, checkpoint_dir="/c d", folder="/f").env == {"CKPT_DIR": "/c d"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("adam", "adam"), ("resnet-18/x", "resnet-18/x"), ("two words", "'two words'"), ("it's", r"'it\'s'"),
        ("true", "'true'"), ("Null", "'Null'"), ("007", "'007'"), ("-1", "'-1'"), ("", "''"), ("a,b", "'a,b'"),
        ("back\\", r"'back\\'"), ("C:\\x", r"'C:\x'"), ("\\'", r"'\\\''"), ("${x}", r"'\${x}'"), ("[1]", "'[1]'"),
    ],
)  # fmt: skip
def test_texts_are_quoted_by_the_rules_of_hydra(value: str, expected: str) -> None:
    assert hydra_text(value) == expected


def test_hydra_itself_reads_back_every_text() -> None:
    parser = pytest.importorskip("hydra.core.override_parser.overrides_parser")
    omegaconf = pytest.importorskip("omegaconf")
    reader = parser.OverridesParser.create()

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(
        st.text(alphabet=st.sampled_from("ab \\'\"${}[](),:=~+-0.eé\t"), max_size=12)
        | st.floats(allow_nan=False)
        | st.booleans()
    )
    def same(value: Value) -> None:
        (word,) = start(Passing(via="hydra", style="{name}={value}"), {"x": value}, names=("x",)).command[2:]
        read = reader.parse_override(word).value()
        read = omegaconf.OmegaConf.create({"x": read})["x"]
        assert read == value and type(read) is type(value)

    same()


def test_yaml_reads_back_every_value() -> None:
    yaml = pytest.importorskip("yaml")

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda t: "." not in t), VALUES, max_size=4))
    def same(params: dict[str, Value]) -> None:
        made = start(Passing(via="file", file="p.yaml"), params, "python t.py {params_file}", tuple(params))
        assert yaml.safe_load(made.files["given/p.yaml"]) == params

    same()


VALUES = (
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.floats(allow_nan=False)
    | st.integers(-(2**62), 2**62)
    | st.booleans()
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(alphabet="ab._-한", min_size=1, max_size=6), VALUES, max_size=5))
def test_json_and_toml_read_back_every_value(params: dict[str, Value]) -> None:
    if clash(list(params)):
        return
    for file, read in (("p.json", json.loads), ("p.toml", tomllib.loads)):
        made = start(Passing(via="file", file=file), params, "python t.py {params_file}", tuple(params))
        found = read(made.files[f"given/{file}"])
        for name, value in params.items():
            place = found
            for part in name.split("."):
                place = place[part]
            assert place == value and type(place) is type(value)
