"""Lines that scripts print by default: each gives the numbers that a person would read there."""

import math
from pathlib import Path

import pytest

from secondshift.runtime.readers import texts
from secondshift.runtime.readers.dialects import Csv, Dialect, JsonLines, Pattern, Printed

Curves = dict[str, list[tuple[int, float]]]


@pytest.fixture
def curves(tmp_path: Path):
    """Reads a text as one that has ended."""

    def read(text: str | bytes, dialect: Dialect | None = None) -> Curves:
        path = tmp_path / "log"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        texts.forget()
        columns, end = texts.read_text(str(path), 0, (dialect or Printed()).copy, ended=True)
        assert end in (0, path.stat().st_size)
        return {name: list(zip(steps, values, strict=True)) for name, (steps, values) in columns.columns.items()}

    return read


HUGGING_FACE = (
    "\r  1%|          | 10/1000 [00:01<02:00,  8.3it/s]\r" + " " * 60 + "\r"
    "{'loss': 2.5, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': 0.08}\n"
    "\r  1%|          | 10/1000 [00:01<02:00,  8.3it/s]\r  2%|▏         | 20/1000 [00:02<02:00,  8.3it/s]\r"
    "{'loss': '1.25', 'grad_norm': 'nan', 'epoch': '0.16'}\n"
    "{'eval_loss': 1.75, 'epoch': 1.0}\n{'loss': 1.0, 'epoch': 1.0}\n{'eval_loss': 1.5, 'epoch': 2.0}\n"
)
LIGHTNING = (
    "\rEpoch 0:  50%|█████     | 32/64 [00:01<00:01, 31.9it/s, v_num=0, train_loss=0.5]"
    "\rEpoch 0: 100%|██████████| 64/64 [00:02<00:00, 31.9it/s, v_num=0, train_loss=0.4, val_loss=0.3]"
    "\rEpoch 1:   2%|          | 1/64 [00:00<00:01, 31.9it/s, v_num=0, train_loss=0.39, val_loss=0.3]"
    "\rEpoch 1: 100%|██████████| 64/64 [00:02<00:00, 31.9it/s, v_num=0, train_loss=0.2, val_loss=0.1]\r      \r"
)
KERAS = (
    "Epoch 1/2\n\r 1/938 [>....] - ETA: 2s - loss: 2.2\r938/938 [====] - 2s 2ms/step - loss: 0.2 - val_loss: 0.1\n"
    "Epoch 2/2\n\x1b[1m938/938\x1b[0m \x1b[32m━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m2s\x1b[0m 2ms/step - loss: 0.1 - val_loss: 0.05\n"
)
CASES: list[tuple[str, str, Curves]] = [
    ("equals", "step=3 val_loss=0.5\nstep=4 val_loss=.25\n", {"val_loss": [(3, 0.5), (4, 0.25)]}),
    ("colons", "iter: 7, loss: 1e-3, acc: 98.5%\n", {"loss": [(7, 1e-3)], "acc": [(7, 98.5)]}),
    ("infinite", "step=1 a=inf b=-Infinity\n", {"a": [(1, math.inf)], "b": [(1, -math.inf)]}),
    ("counted", "loss=0.5\nloss=0.4\nlr=1\n", {"loss": [(0, 0.5), (1, 0.4)], "lr": [(0, 1.0)]}),
    ("repeated", "step=5 a=1\nstep=5 a=2\nstep=3 a=3\n", {"a": [(5, 1.0), (5, 2.0), (3, 3.0)]}),
    ("global step wins over epoch", "epoch=1 global_step=40 a=1\n", {"a": [(40, 1.0)]}),
    ("step on a line before", "Epoch 3/9\nval_loss: 0.5\n", {"val_loss": [(3, 0.5)]}),
    ("nanoGPT", "step 0: train loss 4.2874, val loss 4.2823\niter 1: loss 4.2, time 12345.67ms, mfu -100.00%\n",
     {"train loss": [(0, 4.2874)], "val loss": [(0, 4.2823)], "loss": [(1, 4.2)], "time": [(1, 12345.67)],
      "mfu": [(1, -100.0)]}),
    ("PyTorch MNIST", "Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.25\n\nTest set: Average loss: 0.5, Accuracy: 9842/10000 (98%)\n",
     {"Loss": [(1, 2.25)], "Average loss": [(1, 0.5)]}),
    ("PyTorch language model", "| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch 15.12 | loss  7.63 | ppl  2050.89\n",
     {"lr": [(1, 20.0)], "ms/batch": [(1, 15.12)], "loss": [(1, 7.63)], "ppl": [(1, 2050.89)]}),
    ("PyTorch ImageNet", "Epoch: [2][  10/5005]\tTime  0.5 ( 1.2)\tLoss 6.9 (7.0)\tAcc@1  10.0 (12.3)\n",
     {"Time": [(2, 0.5)], "Loss": [(2, 6.9)], "Acc@1": [(2, 10.0)]}),
    ("scikit-learn", "Iteration 1, loss = 0.5\nIteration 2, loss = 0.25\n", {"loss": [(1, 0.5), (2, 0.25)]}),
    ("XGBoost", "[10]\ttrain-rmse:0.5\teval-rmse:0.25\n", {"train-rmse": [(10, 0.5)], "eval-rmse": [(10, 0.25)]}),
    ("LightGBM", "[10]\tvalid_0's l2: 0.25\n", {"valid_0's l2": [(10, 0.25)]}),
    ("JSON", '{"step": 3, "eval": {"loss": 0.5, "n": NaN}, "ok": true, "text": "x", "s": "0.25"}\n',
     {"eval.loss": [(3, 0.5)], "eval.n": [(3, math.nan)], "s": [(3, 0.25)]}),
    ("JSON of names and values", '{"name": "val_loss", "value": 0.5, "step": 7, "time": 12}\n', {"val_loss": [(7, 0.5)]}),
    ("table of commas", "epoch,train_loss,val_loss\n0,0.5,\n1,0.4,0.25\n",
     {"train_loss": [(0, 0.5), (1, 0.4)], "val_loss": [(1, 0.25)]}),
    ("table of blanks, with words between", "epoch  loss  time\n0  0.5  00:12\nSaving the model\n1  0.25  00:11\n",
     {"loss": [(0, 0.5), (1, 0.25)]}),
    ("Hugging Face", HUGGING_FACE,
     {"loss": [(0, 2.5), (1, 1.25), (2, 1.0)], "grad_norm": [(0, 1.5), (1, math.nan)], "learning_rate": [(0, 5e-05)],
      "eval_loss": [(1, 1.75), (2, 1.5)]}),
    ("Lightning", LIGHTNING, {"train_loss": [(0, 0.4), (1, 0.2)], "val_loss": [(0, 0.3), (1, 0.1)]}),
    ("Keras", KERAS, {"loss": [(1, 0.2), (2, 0.1)], "val_loss": [(1, 0.1), (2, 0.05)]}),
    ("logging", "\x1b[32m2026-11-23 22:17:53,123 INFO\x1b[0m train.py:12 INFO epoch: 3 loss: 0.25 ppl: 2,050.89\n",
     {"loss": [(3, 0.25)], "ppl": [(3, 2050.89)]}),
    ("reprs", "step=1 a=tensor(0.5, device='cuda:0') b=np.float64(0.25)\n", {"a": [(1, 0.5)], "b": [(1, 0.25)]}),
    ("no numbers", "hash=3f2a version=1.2.3 at=12:30:45 day: 2026-11-23 9/10 done\n", {}),
    ("Windows line ends", "step=1 a=1\r\nstep=2 a=2\r\n", {"a": [(1, 1.0), (2, 2.0)]}),
    ("Stable-Baselines3",
     "-----------------\n| eval/  |  |\n|    mean_reward | 172 |\n| time/ |    |\n|  total_timesteps | 5000 |\n-----------------\n"
     "| rollout/ |   |\n|   ep_rew_mean | 1.2e+02 |\n| time/ | |\n|  fps | 99 |\n|  total_timesteps | 256 |\n----------------\n",
     {"eval/mean_reward": [(5000, 172.0)], "rollout/ep_rew_mean": [(256, 120.0)], "time/fps": [(256, 99.0)]}),
    ("a bar of epochs over bars of batches",
     "\rTraining epochs:   0%|   | 0/2 [00:00<?, ?epoch/s]\n\rTraining batches:   0%|   | 0.00/7.00 [00:00<?, ?batch/s]\x1b[A\n"
     "\r    \x1b[A\rTraining epochs:   0%|   | 0/2 [00:00<?, ?epoch/s, loss=1.5]"
     "\rTraining epochs:  50%|#  | 1/2 [00:00<00:06,  4.52epoch/s, loss=1.5]\n"
     "\rTraining batches:   0%|   | 0.00/7.00 [00:00<?, ?batch/s]\x1b[A\n"
     "\r    \x1b[A\rTraining epochs:  50%|#  | 1/2 [00:00<00:06,  4.42epoch/s, loss=1.25]"
     "\rTraining epochs: 100%|## | 2/2 [00:00<00:00,  4.42epoch/s, loss=1.25]\n",
     {"loss": [(0, 1.5), (1, 1.25), (2, 1.25)]}),
    ("the last line has no end", "step=1 a=1\nstep=2 a=2", {"a": [(1, 1.0), (2, 2.0)]}),
    ("a line rewritten at each step", "\rstep 1 a=1\rstep 1 a=2\rstep 2 a=3\n", {"a": [(1, 2.0), (2, 3.0)]}),
]  # fmt: skip


def same(found: Curves, expected: Curves) -> bool:
    return repr(sorted(found.items())) == repr(sorted(expected.items()))  # NaN is itself there


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_line_gives_the_numbers_that_a_person_reads_there(curves, text: str, expected: Curves) -> None:
    found = curves(text)
    assert same(found, expected), found


def test_bytes_that_are_no_text_leave_the_rest_of_the_line_alone(curves) -> None:
    assert curves(b"\xff\xfe\xe2\x82 step=1 gr\xc3\xb6\xc3\x9fe=0.5 \xe2\x96\nstep=2 gr\xc3\xb6\xc3\x9fe=1\n") == {
        "größe": [(1, 0.5), (2, 1.0)]
    }


def test_the_named_step_is_the_only_one_that_counts(curves) -> None:
    assert curves("epoch=1 step=40 a=1\n", Printed("epoch")) == {"a": [(1, 1.0)], "step": [(1, 40.0)]}
    assert curves('{"batch": 9, "step": 40, "a": 1}\n', JsonLines("batch")) == {"a": [(9, 1.0)], "step": [(9, 40.0)]}


def test_a_pattern_names_metrics_by_its_groups_or_by_what_they_catch(curves) -> None:
    text = "it 3 | vl 0.5\nit 4 | vl 1e-1 | vl 7%\n"
    assert curves(text, Pattern(r"it (?P<step>\d+) \| vl (?P<val_loss>\S+)")) == {"val_loss": [(3, 0.5), (4, 0.1)]}
    assert curves(text, Pattern(r"(?P<name>[a-z]+) (?P<value>\S+)")) == {
        "it": [(0, 3.0), (1, 4.0)], "vl": [(0, 0.5), (1, 0.1), (2, 7.0)],
    }  # fmt: skip
    assert curves(text, Pattern(r"it (?P<step>\d+) \| vl (?P<val_loss>\S+)", "step")) == {
        "val_loss": [(3, 0.5), (4, 0.1)]
    }


def test_a_table_may_begin_again_with_other_columns_and_quoted_cells(curves) -> None:
    text = 'step,loss\n1,0.5\nstep,"val, loss",loss\n2,"0.25",0.4\n3,,"0.3"\n'
    assert curves(text, Csv()) == {"loss": [(1, 0.5), (2, 0.4), (3, 0.3)], "val, loss": [(2, 0.25)]}
    assert curves("step;a\n1;2\n", Csv()) == {"a": [(1, 2.0)]}
    assert curves("step\ta\tb\n1\t\t3\n\t5\t\n", Csv()) == {"b": [(1, 3.0)], "a": [(1, 5.0)]}


def test_a_rule_under_a_header_tells_the_columns_whose_names_hold_blanks(curves) -> None:
    text = (
        "\x1b[1m\nE    #       LOSS TEXTCAT  SCORE \n---  ------  ------------  ------\n"
        "  0       0          0.25    0.48\n  1      20          4.97    0.67\nsaved 3 files now\n"
    )
    assert curves(text) == {"E": [(0, 0.0), (20, 1.0)], "LOSS TEXTCAT": [(0, 0.25), (20, 4.97)], "SCORE": [(0, 0.48), (20, 0.67)]}
    assert curves("epoch loss\n----- ----\n1 0.5\n") == {"loss": [(1, 0.5)]}
    assert curves("one two three\n--- ---\n1 2\n3 4\n--- ---\n5 6\n") == {}


def test_a_thousand_names_are_read_and_more_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"m{n}=1\n" for n in range(1200)))
    columns, _ = texts.read_text(str(path), 0, Printed, ended=True)
    assert len(columns.columns) == 1000
    assert [note.values["points"] for note in columns.notes()] == [200]
