"""What a script's source says of its checkpoints, in the ways in which people write them."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift.policies.proofs.hints import Hints, hints

NANOGPT = """
import os, torch
from model import GPT
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
if init_from == 'resume':
    ckpt_path = os.path.join(out_dir, 'ckpt.pt')
    checkpoint = torch.load(ckpt_path, map_location=device)
    state_dict = checkpoint['model']
    for k, v in list(state_dict.items()):
        state_dict[k.removeprefix('_orig_mod.')] = state_dict.pop(k)
    model.load_state_dict(state_dict)
    iter_num = checkpoint['iter_num']
if init_from == 'resume':
    optimizer.load_state_dict(checkpoint['optimizer'])
checkpoint = None
def get_lr(it): return it / warmup_iters
while True:
    lr = get_lr(iter_num)
    for group in optimizer.param_groups:
        group['lr'] = lr
    checkpoint = {
        'model': raw_model.state_dict(),
        'optimizer': optimizer.state_dict(),
        'iter_num': iter_num,
    }
    torch.save(checkpoint, os.path.join(out_dir, 'ckpt.pt'))
"""
FUNCTIONS = """
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR
def save_checkpoint(path, net, opt, sched, epoch):
    state = {"net": net.state_dict(), "epoch": epoch}
    state["opt"] = opt.state_dict()
    state.update(sched=sched.state_dict())
    torch.save(state, path)
def load_checkpoint(path, net, opt, sched):
    if not path.exists():
        return 0
    blob = torch.load(path)
    net.load_state_dict(blob["net"])
    opt.load_state_dict(blob["opt"])
    sched.load_state_dict(blob["sched"])
    return blob["epoch"]
def main():
    opt = torch.optim.Adam(net.parameters())
    sched = CosineAnnealingLR(opt, 100)
    start = load_checkpoint(path, net, opt, sched)
    for epoch in range(start, 100):
        save_checkpoint(path, net, opt, sched, epoch + 1)
"""
CLASSES = """
import pickle
class Adam:
    def __init__(self): self.m, self.v = {}, {}
    def state_dict(self): return {"m": self.m, "v": self.v}
    def load_state_dict(self, state): self.m, self.v = state["m"], state["v"]
class WarmupSchedule:
    def __init__(self): self.count = 0
class Learner:
    def __init__(self):
        self.updater = Adam()
        self.plan = WarmupSchedule()
    def state_dict(self):
        return {"w": self.w, "updater": self.updater.state_dict(), "warmup": self.plan.count}
    def load_state_dict(self, state):
        self.w = state["w"]
        self.updater.load_state_dict(state["updater"])
        self.plan.count = state["warmup"]
learner = Learner()
if path.exists():
    learner.load_state_dict(pickle.loads(path.read_bytes()))
path.write_bytes(pickle.dumps(learner.state_dict()))
"""
WHOLE = """
import joblib
from sklearn.neural_network import MLPRegressor
def build(args):
    return MLPRegressor(hidden_layer_sizes=(args.width,))
net, done = build(args), 0
if store.exists():
    net, done = joblib.load(store)
for epoch in range(done, 30):
    net.partial_fit(x, y)
    joblib.dump((net, epoch + 1), store)
"""
ARRAYS = """
import numpy as np
theta, mom, k = np.zeros(9), np.zeros(9), 0
if os.path.exists(f):
    with np.load(f) as z:
        theta, mom, k = z["theta"], z["mom"], int(z["k"])
while k < n:
    mom = 0.9 * mom + grad(theta)
    theta = theta - 0.1 * 0.5 ** (k // 30) * mom
    k += 1
    np.savez(f, theta=theta, mom=mom, k=k)
"""
KEYWORDS = """
import numpy as np
def keep(folder, **arrays):
    np.savez(folder / "state.npz", **arrays)
def fetch(folder):
    return dict(np.load(folder / "state.npz"))
old = fetch(folder)
w = old["w"]
velocity = old["velocity"]
velocity = 0.9 * velocity - lr * g
keep(folder, w=w, velocity=velocity)
"""
LOST_BY_NANOGPT = (
    "if init_from == 'resume':\n    optimizer.load_state_dict(checkpoint['optimizer'])\n",
    "        'optimizer': optimizer.state_dict(),\n",
)

KEPT = {
    "one loop in the manner of nanoGPT": NANOGPT,
    "functions that are handed everything": FUNCTIONS,
    "classes with states of their own": CLASSES,
    "an estimator saved whole": WHOLE,
    "arrays": ARRAYS,
    "keywords passed on": KEYWORDS,
}
LOST = {
    "loop, not loaded": (NANOGPT, LOST_BY_NANOGPT[:1]),
    "loop, not saved": (NANOGPT, LOST_BY_NANOGPT),
    "functions, not loaded": (FUNCTIONS, ['    opt.load_state_dict(blob["opt"])\n']),
    "functions, not saved": (FUNCTIONS, ['    state["opt"] = opt.state_dict()\n', '    opt.load_state_dict(blob["opt"])\n']),
    "classes, not loaded": (CLASSES, ['        self.updater.load_state_dict(state["updater"])\n']),
    "arrays, not loaded": (ARRAYS, [', mom, k = z["theta"], z["mom"]', ', k = z["theta"]']),
    "keywords, not loaded": (KEYWORDS, ['velocity = old["velocity"]\n']),
    "keywords, not passed on": (KEYWORDS, [", velocity=velocity", 'velocity = old["velocity"]\n']),
}  # fmt: skip


def without(source: str, *cut: str) -> str:
    """A script in which these texts are missing, each found exactly once."""
    for text in cut:
        assert source.count(text) == 1, text
        source = source.replace(text, "")
    return source


@pytest.mark.parametrize("how", KEPT)
def test_an_optimiser_that_is_saved_and_loaded_is_seen_to_be(how: str) -> None:
    found = hints(KEPT[how])
    assert (found.optimises, found.restores_optimiser) == (True, True)


def test_an_optimiser_that_is_not_saved_or_not_loaded_is_seen_to_be_lost() -> None:
    for how, (source, cut) in LOST.items():
        if how.startswith("arrays"):
            source, cut = source.replace(*cut), []
        found = hints(without(source, *cut))
        assert (found.optimises, found.restores_optimiser) == (True, False), how
    parts = WHOLE.replace("net, done = joblib.load(store)", "net.coefs_, done = joblib.load(store)")
    assert hints(parts.replace("dump((net,", "dump((net.coefs_,")).restores_optimiser is False


def test_a_schedule_is_told_from_the_optimiser() -> None:
    for source, cut in (
        (FUNCTIONS, 'sched.load_state_dict(blob["sched"])'),
        (CLASSES, 'self.plan.count = state["warmup"]'),
    ):
        whole, lost = hints(source), hints(source.replace(cut, "pass"))
        assert (whole.schedules, whole.restores_schedule) == (True, True)
        assert (lost.schedules, lost.restores_schedule, lost.restores_optimiser) == (True, False, True)
    assert hints(NANOGPT).restores_schedule is False  # a function of the step has nothing to save
    assert not hints(ARRAYS).schedules


def test_the_methods_of_a_class_count_only_where_they_are_called() -> None:
    unused = without(CLASSES, '        self.updater.load_state_dict(state["updater"])\n')
    assert 'self.m, self.v = state["m"], state["v"]' in unused
    assert hints(unused).restores_optimiser is False


def test_settings_that_are_read_from_a_configuration_are_no_state() -> None:
    lost = without(NANOGPT, *LOST_BY_NANOGPT[:1])
    config = "import json\ncfg = json.load(open('c.json'))\nrate = cfg['optimizer']['lr']\n"
    assert hints(config + lost).restores_optimiser is False
    told = "print(json.dumps({'momentum': 0.9}))\n"
    source = without(ARRAYS, ", mom=mom") + told
    assert hints(source).restores_optimiser is False


def test_what_is_reckoned_anew_from_what_was_loaded_was_not_restored() -> None:
    source = ARRAYS.replace('theta, mom, k = z["theta"], z["mom"], int(z["k"])', 'theta, k = z["theta"], int(z["k"])')
    assert hints(source).restores_optimiser is False  # though `mom = 0.9 * mom + grad(theta)` comes after it


def test_one_act_alone_is_judged_by_itself_and_none_says_nothing() -> None:
    assert hints("import torch\ntorch.save({'model': m, 'optimizer': o}, p)").restores_optimiser is True
    assert hints("import torch\noptimizer = Adam()\ntorch.save({'model': m}, p)").restores_optimiser is False
    library = hints("trainer = Trainer(model, optimizer='adamw')\ntrainer.fit(data, ckpt_path=path)")
    assert (library.optimises, library.restores_optimiser, library.restores_schedule) == (True, None, None)


def test_plain_descent_has_no_memory_to_forget() -> None:
    source = "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\ntorch.save(net.state_dict(), path)"
    assert not hints(source).optimises
    assert hints(source.replace("lr=0.1", "lr=0.1, momentum=0.9")).optimises


def test_hints_survive_what_is_no_python() -> None:
    assert hints("this is not python (") == Hints()
    assert hints("") == hints("x = 1")


PIECES = [line for source in KEPT.values() for line in source.splitlines() if line.strip()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_any_lines_give_hints_or_none(lines: list[str]) -> None:
    source = "\n".join(line.strip() for line in lines)
    found = hints(source)
    try:
        ast.parse(source)
    except SyntaxError:
        assert found == Hints()


def test_functions_that_call_one_another_in_a_circle_come_to_an_end() -> None:
    source = "def a(s): b(s)\ndef b(s): a(s['x'])\ndef state(): return state()\na(load(p))\nsave(state())"
    assert hints(source) is not None
