#!/usr/bin/env python3
"""How much compute a search saves on real processes, counted by what the training scripts themselves write down.

    python3 benchmarks/real_search.py [--seeds 5] [--trainings 5] [--slots 2] [--min-steps 0] [--out FOLDER] [--quick] [--json]
    python3 benchmarks/real_search.py --noise        # only the night on an objective that is noise
    python3 benchmarks/real_search.py --pool 600     # train what the reference lacks (benchmarks/real/pool.csv), and end

A night is `secondshift run` on a small network for handwritten digits, with eight parameters and 30 epochs, from an empty study
until so many full trainings' worth of epochs were trained. Results stand in docs/search/real.md.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import preparing

preparing.environment()
preparing.one_thread()

import numpy as np  # noqa: E402  # the folders and the threads come first
from captain.parts import Reported  # noqa: E402
from real import nights, pool, scores, studies  # noqa: E402
from real.train import HORIZON  # noqa: E402

from secondshift.config.loading import load_study  # noqa: E402

METHOD, REFERENCE = ("model", "freezethaw"), ("random", "fifo")
AT = (1.0, 2.0, 5.0, 10.0)  # full trainings
NOISE_TRIALS, NOISE_STEPS = 12, 4
TARGET = "lower end of 95 % > 2"


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="nights, with seeds from 1 on")
    parser.add_argument("--trainings", type=float, default=5.0, help="length of a night, in full trainings")
    parser.add_argument("--slots", type=int, default=2, help="processes at once")
    parser.add_argument("--min-steps", type=int, default=0, help="[policy] min_steps")
    parser.add_argument("--out", type=Path, help="keep the nights here; those that are there go on where they ended")
    parser.add_argument("--pool", type=int, default=0, help="full trainings that the reference shall hold")
    parser.add_argument("--noise", action="store_true", help="only the night on noise")
    parser.add_argument("--quick", action="store_true", help="one seed, one full training and a half, no noise")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(argv)
    if given.quick:
        given.seeds, given.trainings = 1, 1.5
    return given


def main(argv: Sequence[str]) -> int:
    """Measure and print; the exit code says only whether it was measured."""
    given = options(argv)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the night is stopped, too
    with tempfile.TemporaryDirectory(prefix="secondshift-real-") as scratch:
        out = given.out or Path(scratch)
        if given.pool:
            file = studies.make(Path(scratch) / "pool", studies.study_text(searcher="random", scheduler="fifo", seed=0))
            pool.train(studies.digits(), load_study(file).space, given.pool)
            return 0
        found = Reported()
        if not given.noise:
            compared(found, out, given)
        if not given.quick:
            on_noise(found, out)
    print(*found.lines, sep="\n")
    if given.json:
        print(json.dumps(found.rows))
    return 0


def compared(found: Reported, out: Path, given: argparse.Namespace) -> None:
    """Play the nights, and one of full random search; compare with the pool."""
    known, data = pool.read(), studies.digits()
    length = f"{given.slots} slots, min_steps {given.min_steps}"
    played = []
    for seed in range(1, given.seeds + 1):
        label = f"{'+'.join(METHOD)}-m{given.min_steps}-w{given.slots}-s{seed}"
        played.append(nights.play(
            out / label, searcher=METHOD[0], scheduler=METHOD[1], seed=seed, trainings=given.trainings, slots=given.slots,
            min_steps=given.min_steps,
        ))  # fmt: skip
        print(said(seed, played[-1]), file=sys.stderr, flush=True)
    found.lines += [
        f"## {'+'.join(METHOD)}, {len(played)} nights of {given.trainings:g} full trainings ({HORIZON} epochs), {length}", "",
        f"Reference: {len(known.loss)} full trainings of random configurations; expected best of k by order statistics.", "",
        "| full trainings | reached, mean (each) | random search expects | compression (95 %) | on test images (95 %) | each night "
        "by itself, geometric mean (lower end) | the same of random search itself |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    budgets = [budget for budget in AT if budget <= given.trainings]
    for budget in budgets:
        table_row(found, known, played, budget)
    found.lines += ["", *spent(played)]
    both = [played[0]]
    if not given.quick:
        both.append(nights.play(
            out / f"{'+'.join(REFERENCE)}-s1", searcher=REFERENCE[0], scheduler=REFERENCE[1], seed=1, trainings=3.0,
            slots=given.slots,
        ))  # fmt: skip
    for night in both:
        worst, count = scores.apart(night.seen, data)
        found.lines.append(
            f"Losses of real processes ({night.file.parent.parent.name}) and of one unbroken training in the benchmark's own "
            f"process: at most {worst:g} apart, over {count} epochs."
        )
        found.row(f"real processes and the table agree, {night.file.parent.parent.name}", worst, "nats", "<= 1e-9", worst <= 1e-9)


def table_row(found: Reported, known: pool.Pool, played: Sequence[nights.Night], budget: float) -> None:
    """One budget: a line for people, and the row of the contract."""
    cut = [night.seen.cut(round(budget * HORIZON)).best() for night in played]
    reached, tested = [loss for loss, _ in cut], [test for _, test in cut]
    ours = scores.compression(reached, budget, known.path())
    on_test = scores.compression(tested, budget, known.path(test=True))
    (mean, low), (_, chance) = scores.alone(ours.each), scores.of_random_search(known, int(budget))
    each = ", ".join(f"{loss:.3f}" for loss in reached)
    found.lines.append(
        f"| {budget:g} | {np.mean(reached):.4f} ({each}) | {known.expected(int(budget)):.4f} | {ours.mean:.2f} ({ours.low:.2f} to "
        f"{ours.high:.2f}) | {on_test.mean:.2f} ({on_test.low:.2f} to {on_test.high:.2f}) | {mean:.2f} ({low:.2f}) | {chance:.2f} |"
    )
    if len(played) > 1 and budget >= 5:
        found.row(f"compression at {budget:g} full trainings, lower end", ours.low, "x", TARGET, ours.low > 2.0)


def said(seed: int, night: nights.Night) -> str:
    """One night in a line, as it ends."""
    seen = night.seen
    return (
        f"seed {seed}: {len(seen.at)} epochs of {len(set(seen.key))} candidates in {len(seen.began)} processes, {seen.repeated()} "
        f"epochs trained twice, {night.wall_s:.0f} s, of which {100 * night.training_share():.0f} % of the slots' time was "
        f"training; best {seen.best()[0]:.4f}"
    )


def spent(played: Sequence[nights.Night]) -> list[str]:
    """What the nights were made of."""
    starts = np.mean([len(night.seen.began) for night in played])
    epochs = np.mean([len(night.seen.at) for night in played])
    candidates = np.mean([len(set(night.seen.key)) for night in played])
    wall, training = np.mean([night.wall_s for night in played]), np.mean([night.training_share() for night in played])
    held = np.mean([night.held_share() for night in played])
    twice = sum(night.seen.repeated() for night in played)
    return [
        f"A night in the mean: {candidates:.0f} candidates, {starts:.0f} processes of {epochs / starts:.1f} epochs each, "
        f"{wall:.0f} s; {100 * training:.0f} % of the slots' time was training, {100 * (held - training):.0f} % the rest of the "
        f"processes' lives "
        f"(start, imports, restoring, saving), {100 * (1 - held):.0f} % no process at all (deciding, starting, waiting). Epochs "
        f"that were trained twice: {twice}.", "",
    ]  # fmt: skip


def on_noise(found: Reported, out: Path) -> None:
    """Play a whole night on noise, and read its brief."""
    file = nights.play_noise(out / "noise-s1", seed=1, trials=NOISE_TRIALS, horizon=NOISE_STEPS)
    told = nights.told_of_ideas(file)
    found.lines += ["", f"## Noise: {NOISE_TRIALS} candidates, the best nominated", "", *(f"> {line}" for line in told.lines)]
    found.row("ideas that held up on noise", float(told.held_up), "ideas", "0", told.held_up == 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
