"""Secrets of a study file reach the script and nothing else."""

from dataclasses import replace
from pathlib import Path

from secondshift import config
from secondshift.records.studies import Launch
from secondshift.runtime.opening import Reload
from secondshift.runtime.secrecy import KEPT_OUT, revealed, without_secrets
from simulated_nights import Night, study

SECRET = "sk-" + "a1B2c3D4" * 4
ENV = {"WANDB_API_KEY": "abc", "MODE": SECRET, "PLAIN": "x", "HF_TOKEN": "", "TOKENIZERS_PARALLELISM": "false"}


def test_telling_names_and_known_forms_are_kept_out_and_come_back() -> None:
    recorded, secrets = without_secrets(replace(study(), launch=Launch(env=ENV)))
    assert secrets.keys() >= {"WANDB_API_KEY", "MODE"} and "PLAIN" not in secrets
    assert recorded.launch.env["MODE"] == KEPT_OUT and recorded.launch.env["PLAIN"] == "x"
    assert revealed(dict(recorded.launch.env), secrets) == ENV


def test_a_secret_whose_file_is_gone_is_left_out_rather_than_faked() -> None:
    assert revealed({"A": KEPT_OUT, "B": "x"}, {}) == {"B": "x"}


def test_no_secret_is_in_the_ledger_after_a_night_and_an_edit(tmp_path: Path) -> None:
    (tmp_path / "spool/tmp").mkdir(parents=True)
    file = tmp_path / "secondshift.toml"
    body = 'command = "python t.py"\n[objective]\nmetric = "loss"\n[horizon]\nsteps = 27\n[launch.env]\nMY_API_KEY = "{}"\n'
    file.write_text(body.format(SECRET))
    recorded, secrets = without_secrets(config.load_study(file))
    night = Night(tmp_path, replace(recorded, budget=study().budget))
    night.engine.hands.secrets.update(secrets)
    night.engine.reload = Reload(file, "boot-1", night.engine.hands.secrets)
    orders = []
    submit = night.executor.submit
    night.executor.submit = lambda order: (orders.append(order), submit(order))[1]
    night.run(ticks=5)
    file.write_text(body.format(SECRET[::-1] + "x") + "# edited\n")
    night.run()
    assert orders and orders[0].env["MY_API_KEY"] == SECRET
    assert orders[-1].env["MY_API_KEY"] == SECRET[::-1] + "x"
    text = "".join(event.text or repr(event.payload) for event in night.ledger.read())
    assert SECRET not in text and SECRET[::-1] not in text and KEPT_OUT in text
