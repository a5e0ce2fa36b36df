"""Looking at a command that nobody knows: its help, its source, a short run of it, and what may be guessed from that."""

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.runtime.guessing import axes, checkpoint_option, horizon, objective, sketch, telling
from secondshift.runtime.helptexts import read_code, read_help, read_yaml
from secondshift.runtime.looking import installed, look, script_of
from secondshift.runtime.looks import Looked, Option, Stream

ARGPARSE = """\
import argparse, time
p = argparse.ArgumentParser(description="Train --a thing.")
p.add_argument("--lr", type=float, default=3e-4, help="learning rate")
p.add_argument("--batch-size", "-b", type=int, default=32, help="how many at a time (default: %(default)s)")
p.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
p.add_argument("--amp", action="store_true", help="mixed precision")
p.add_argument("--ckpt-dir", default="ckpt")
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()
for e in range(3):
    print(f"epoch {e} train_loss={1/(e+1):.4f} val_loss={1/(e+1)+a.lr:.4f}", flush=True)
"""
CLICK = """\
import click

@click.command()
@click.option("--lr", default=0.01, show_default=True, help="Learning rate.")
@click.option("--opt", type=click.Choice(["adam", "sgd"]), default="sgd", show_default=True)
@click.option("--amp/--no-amp", default=False)
@click.option("--output-dir", type=click.Path(), default="out", help="Where to write; a text of two lines " * 3)
def main(**k):
    print("loss=1.0")

main()
"""
TYPER = """\
 Usage: train.py [OPTIONS]

╭─ Options ────────────────────────────────────────────────────────╮
│ --lr                            <float>     [default: 0.01]      │
│ --opt                           <adam|sgd>  [default: sgd]       │
│ --amp               --no-amp    <bool>      [default: no-amp]    │
│ --checkpoint-dir                TEXT        [default: c]         │
│ *  --hidden                     INTEGER     how wide             │
│                                             [default: 64]        │
│ --help                                      Show this message.   │
╰──────────────────────────────────────────────────────────────────╯
"""
HYDRA = """\
optimizer:
  lr: 0.001
  name: adam
  betas: [0.9, 0.999]
model:
  encoder:
    hidden_dim: 64  # wide
  dropout: 1.0e-1
path: ${oc.env:HOME}
seed: 1
name: 'a b'
resume: null
amp: true
hydra:
  job:
    num: 3
"""


def script(folder: Path, text: str) -> list[str]:
    (folder / "train.py").write_text(text)
    return [sys.executable, "train.py"]


def told(options: tuple[Option, ...] | list[Option]) -> dict[str, tuple[str, object]]:
    return {option.name: (option.kind, option.default) for option in options}


def test_argparse_is_read_from_its_help_and_completed_from_its_source(tmp_path: Path) -> None:
    looked = look(script(tmp_path, ARGPARSE), tmp_path, seconds=10)
    assert told(looked.options) == {
        "lr": ("float", 3e-4), "batch-size": ("int", 32), "optimizer": ("choice", "adam"), "amp": ("switch", None),
        "ckpt-dir": ("text", "ckpt"), "seed": ("int", 0),
    }  # fmt: skip
    assert looked.ended and looked.code == 0
    assert {(s.name, s.source, s.points, s.last_step) for s in looked.metrics} == {
        ("train_loss", "stdout", 3, 2), ("val_loss", "stdout", 3, 2)
    }  # fmt: skip
    found = sketch(looked)
    assert (found.metric.value, found.goal.value, found.steps.value, found.steps.sure) == ("val_loss", "min", "3", True)
    assert (found.seed_flag, found.checkpoint_flag, found.checkpoint_sure) == ("--seed", "--ckpt-dir", True)
    assert [axis.name for axis in found.axes if axis.active] == ["lr", "batch-size"]


def test_click_and_typer_are_read_from_their_help(tmp_path: Path) -> None:
    pytest.importorskip("click")
    looked = look(script(tmp_path, CLICK), tmp_path, seconds=0)
    assert told(looked.options) == {
        "lr": ("float", 0.01), "opt": ("choice", "sgd"), "amp": ("switch", False), "output-dir": ("text", "out")
    }  # fmt: skip
    assert told(read_help(TYPER)) == {
        "lr": ("float", 0.01), "opt": ("choice", "sgd"), "amp": ("switch", False), "checkpoint-dir": ("text", "c"),
        "hidden": ("int", 64),
    }  # fmt: skip
    assert looked.ran_s == 0.0 and looked.metrics == ()


SHORT_AND_LONG = """\
options:
  -tb TENSORBOARD_LOG, --tensorboard-log TENSORBOARD_LOG
                        Tensorboard log dir
  -n N_TIMESTEPS, --n-timesteps N_TIMESTEPS
                        Overwrite the number of timesteps (default: -1)
  -a {adam,sgd}, --optimizer {adam,sgd}
  -params HYPERPARAMS [HYPERPARAMS ...], --hyperparams HYPERPARAMS [HYPERPARAMS ...]
                        learning_rate:0.01 n_steps:10, or --nothing
  -q, --quiet           say less, or -v for more
"""


def test_an_option_with_a_short_and_a_long_name_is_known_by_the_long_one() -> None:
    assert [(o.flag, o.kind, o.default) for o in read_help(SHORT_AND_LONG)] == [
        ("--tensorboard-log", "unknown", None), ("--n-timesteps", "int", -1), ("--optimizer", "choice", None),
        ("--hyperparams", "unknown", None), ("--quiet", "switch", None),
    ]  # fmt: skip


def test_a_configuration_of_hydra_gives_its_plain_values_by_their_dotted_names() -> None:
    assert {option.name: option.default for option in read_yaml(HYDRA)} == {
        "optimizer.lr": 0.001, "optimizer.name": "adam", "model.encoder.hidden_dim": 64, "model.dropout": 0.1,
        "seed": 1, "name": "a b", "amp": True,
    }  # fmt: skip


def test_a_script_that_goes_on_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    text = (
        "import os, subprocess, sys, time, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "for step in range(10**6):\n    print(f'step={step} loss={1 / (step + 1)}'); time.sleep(0.02)\n"
    )
    began = time.monotonic()
    looked = look(script(tmp_path, text), tmp_path, seconds=1.5, help_s=0.5)
    assert time.monotonic() - began < 15
    assert not looked.ended and looked.code is None and looked.help_said == "timeout"
    assert [(s.name, s.points > 5) for s in looked.metrics] == [("loss", True)]
    assert sketch(looked).steps.key == "steps_rate"
    for pid in (tmp_path / "pids").read_text().split():
        stat = Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def test_a_script_that_breaks_says_its_last_words(tmp_path: Path) -> None:
    looked = look(script(tmp_path, "raise SystemExit('no data here')"), tmp_path, seconds=5)
    assert (looked.ended, looked.code, looked.last_words) == (True, 1, "no data here")
    assert look(["no-such-program"], tmp_path, seconds=1).code == 127


def test_nothing_of_the_commands_own_folder_is_touched_by_looking(tmp_path: Path) -> None:
    look(script(tmp_path, ARGPARSE), tmp_path, seconds=5)
    assert os.listdir(tmp_path) == ["train.py"]


def test_the_script_is_found_among_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").write_text("")
    assert script_of(["python", "-u", "pkg/train.py", "x.py"], tmp_path) == "pkg/train.py"
    assert script_of(["python", "-m", "pkg.train"], tmp_path) == "pkg/train.py"
    assert script_of(["./run"], tmp_path) == ""


def test_an_objective_of_held_out_data_goes_before_training_and_a_loss_before_the_rest() -> None:
    def chosen(*names: str) -> str:
        found = objective([Stream(name=name, source="stdout", points=1) for name in names])
        return found.name if found else ""

    assert chosen("loss", "lr", "eval/loss") == "eval/loss"
    assert chosen("train_loss", "val_acc") == "val_acc"
    assert chosen("grad_norm", "loss") == "loss"
    assert chosen() == ""


def test_a_return_goes_before_a_loss_and_what_never_moved_is_no_objective_unless_its_name_says_so() -> None:
    def stream(name: str, *, moves: bool = True) -> Stream:
        return Stream(name=name, source="stdout", points=3, moves=moves)

    found = objective([stream("train/loss"), stream("rollout/ep_rew_mean"), stream("time/fps")])
    assert found is not None and found.name == "rollout/ep_rew_mean"
    assert sketch(Looked(command=("t",), metrics=(stream("rollout/ep_rew_mean"),))).goal.value == "max"
    assert objective([stream("rank", moves=False), stream("Seed", moves=False)]) is None
    found = objective([stream("valid", moves=False), stream("loss")])
    assert found is not None and found.name == "loss"
    assert telling([stream("loss")]) and not telling([stream("loss", moves=False), stream("cutoff")])


def test_the_length_comes_from_the_options_of_the_command_before_those_of_the_help() -> None:
    options = (
        Option(name="num_recursion_steps", flag="--num_recursion_steps", kind="int", default=1),
        Option(name="max_iters", flag="--max_iters", kind="int", default=7),
        Option(name="number-epochs", flag="--number-epochs", kind="int", default=5),
    )
    assert horizon(Looked(command=("t",), options=options), None).value == "7"
    assert horizon(Looked(command=("t", "--number-epochs", "30"), options=options), None).value == "30"
    assert horizon(Looked(command=("t", "--training.max_steps", "200"), options=options), None).value == "200"


def test_the_parameters_that_the_command_names_are_searched_before_further_ones() -> None:
    options = [
        Option(name="swa_lr", flag="--swa_lr", kind="float", default=1e-3),
        Option(name="lora_rank", flag="--lora_rank", kind="int", default=4),
        Option(name="lr", flag="--lr", kind="float", default=1e-2),
        Option(name="batch_size", flag="--batch_size", kind="int", default=10),
        Option(name="num_channels", flag="--num_channels", kind="int", default=128),
    ]
    found = axes(options, ["t.py", "--num_channels", "8", "--batch_size", "4"])
    assert [axis.name for axis in found if axis.active] == ["lr", "batch_size", "num_channels"]


def test_a_script_that_is_slow_to_begin_is_waited_for(tmp_path: Path) -> None:
    text = "import time\nprint('rank: 0')\ntime.sleep(1)\nfor s in range(9):\n    print(f'step={s} loss={s}')\n"
    looked = look(script(tmp_path, text), tmp_path, seconds=0.5, help_s=0.1)
    assert [s.name for s in looked.metrics if s.points == 9] == ["loss"]


def test_numbers_that_a_run_writes_beside_itself_are_found_there(tmp_path: Path) -> None:
    text = (
        "import argparse, os\np = argparse.ArgumentParser()\np.add_argument('--max_epochs', type=int, default=3)\n"
        "p.parse_args()\n"
        "os.makedirs('logs/version_7')\nwith open('logs/version_7/metrics.csv', 'w') as f:\n"
        "    f.write('epoch,step,val0_epoch/mae,train_loss\\n0,9,0.5,0.7\\n1,19,0.4,0.6\\n2,29,0.3,0.5\\n')\nprint('done')\n"
    )
    (tmp_path / "older.csv").write_text("epoch,val_loss\n0,1.0\n1,0.5\n")
    found = sketch(look(script(tmp_path, text), tmp_path, seconds=10))
    assert (found.metric.value, found.source, found.path) == ("val0_epoch/mae", "csv", "logs/version_*/metrics.csv")
    assert (found.steps.value, found.step) == ("3", "")


def test_a_length_in_epochs_counts_a_table_by_its_epochs() -> None:
    streams = tuple(Stream(name=name, source="csv: a/b.csv", points=3) for name in ("val_loss", "epoch"))
    looked = Looked(command=("t.py", "--max_epochs", "9"), metrics=streams, ran_s=1.0)
    assert (sketch(looked).steps.value, sketch(looked).step) == ("9", "epoch")
    assert sketch(Looked(command=("t.py", "--max_steps", "9"), metrics=streams, ran_s=1.0)).step == ""


def test_the_file_behind_an_installed_command_or_module_is_found_beside_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "pkg"
    package.mkdir(parents=True)
    for name in ("train.py", "__main__.py"):
        (package / name).write_text("import hydra\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pkg-train"
    program.write_text(f"#!{tmp_path}/bin/python\nimport sys\nfrom pkg.train import main\nsys.exit(main())\n")
    python = tmp_path / "bin" / "python"
    python.write_text("")
    for file in (program, python):
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert installed(["pkg-train", "lr=1"]) == package / "train.py"
    assert installed(["python", "-m", "pkg.train"]) == package / "train.py"
    assert installed(["python", "-m", "pkg"]) == package / "__main__.py"
    assert installed(["no-such-program"]) is None and installed(["python", "x.py"]) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("output_dir", "ckpt-dir"), ("--ckpt-dir", True)), (("checkpoint_path",), ("--checkpoint_path", True)),
        (("out_dir",), ("--out_dir", False)), (("data_dir", "lr"), ("", False)), (("checkpoint-every",), ("", False)),
    ],
)  # fmt: skip
def test_a_checkpoint_folder_is_known_by_its_name(names: tuple[str, ...], expected: tuple[str, bool]) -> None:
    assert checkpoint_option([Option(name=name, flag=f"--{name}", kind="text") for name in names]) == expected


@pytest.mark.parametrize(
    ("names", "command", "expected"),
    [
        (("checkpoints_dir", "work_dir", "log_dir"), (), "--work_dir"), (("work_dir", "log_dir"), ("--log_dir", "x"), "--log_dir"),
        (("log-folder",), (), "--log-folder"), (("checkpoint_dir", "data_dir", "model_dir", "blackout_dir"), (), ""),
    ],
)  # fmt: skip
def test_the_folder_that_a_run_writes_to_is_known_by_its_name(
    names: tuple[str, ...], command: tuple[str, ...], expected: str
) -> None:
    options = tuple(Option(name=name, flag=f"--{name}", kind="text") for name in names)
    assert sketch(Looked(command=("t.py", *command), options=options)).out_flag == expected
    assert sketch(Looked(command=("t.py",), hydra=True)).out_flag == "hydra.run.dir"


def test_a_value_that_the_command_gives_tells_what_its_option_takes_where_nothing_else_does() -> None:
    options = [Option(name=name, flag=f"--{name}") for name in ("num_channels", "lr", "width", "weight_decay")]
    given = ["t.py", "--num_channels", "8", "--lr", "1e-2", "--width", "wide", "--weight_decay", "inf"]
    assert {axis.name: axis.default for axis in axes(options, given)} == {"num_channels": 8, "lr": 0.01}


def test_a_value_that_the_command_gives_is_the_default() -> None:
    options = [
        Option(name="lr", flag="--lr", kind="float", default=0.5),
        Option(name="out_dir", flag="--out_dir", kind="text", default="x"),
    ]
    for command in (["t.py", "--lr", "0.01"], ["t.py", "--lr=0.01"]):
        (axis,) = axes(options, command)
        assert axis.default == 0.01 and "low = 0.001, high = 0.1" in axis.toml


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from("-a=[]{}<>|()│╭ \n\tdefault:0.1,'\"/*"), max_size=120))
def test_no_help_text_configuration_or_source_breaks_the_readers(text: str) -> None:
    for option in (*read_help(text), *read_yaml(text), *read_code(text)):
        assert option.name and option.flag
    sketch(Looked(command=("a", text), options=(*read_help(text), *read_code(text))))
