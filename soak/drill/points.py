"""Every named write point, before, during and after: one long study, one armed point after the other."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter

from .audit import audit
from .stage import HERE, Plan, Stage
from .storm import changed, rows_of
from .table import Row, at_least, none_of

INJECTED = HERE / "injected"
RENAME, PLACE, PAIR = ("before", "torn", "whole", "after"), ("before", "torn", "after"), ("before", "after")
PATIENCE_S = 20.0
# point -> its phases, and what brings somebody there: "" happens by itself
POINTS: dict[str, tuple[tuple[str, ...], str]] = {
    "ledger append": (RENAME, ""),
    "order.json": (RENAME, ""),
    "params.json": (RENAME, ""),
    "fingerprint.json": (RENAME, ""),
    "control.json": (RENAME, ""),
    "claim.json": (RENAME, ""),
    "child.json": (RENAME, ""),
    "family.json": (RENAME, ""),
    "until": (RENAME, ""),
    "heartbeat": (PLACE, ""),
    "samples": (PLACE, ""),
    "fragment": (PLACE, ""),
    "checkpoint": (RENAME, ""),
    "manifest": (("before",), ""),
    "checkpoint pruned": (PAIR, ""),
    "exit.json": (RENAME, ""),
    "stopping": (PAIR, "trial"),
    "tombstone": (RENAME, "claim"),
    "lost exit": (RENAME, "supervisor"),
    "lease": (RENAME, "engine"),
    "fence": (RENAME, "engine"),
    "keeper.json": (RENAME, "engine"),
    "ballast": (RENAME, "ballast"),
    "spool put": (RENAME, "trial"),
    "spool discard": (PAIR, "trial"),
    "brief": (RENAME, "shift"),
    "snapshot cache": (RENAME, "shift"),
}


class Round:
    """One study that is struck at one point after the other."""

    def __init__(self, seed: int) -> None:
        plan = Plan(name="points", trials=400, steps=30, slots=3, seed=seed, step_s=0.06, save_every=6, grant="3s")
        self.stage = Stage(plan)
        self.armed = self.stage.root / "armed"
        self.armed.mkdir()
        self.stage.extra |= {"PYTHONPATH": str(INJECTED), "SOAK_ARMED": str(self.armed)}
        self.rng = random.Random(seed)
        self.night: subprocess.Popen[bytes] | None = None
        self.codes: Counter[int] = Counter()
        self.samples: list[tuple[int, str]] = []
        self.missed: list[str] = []
        self.next_push = 0.0

    def tend(self) -> None:
        """Start the night again whenever it is over, for whatever reason."""
        if self.night is None or self.night.poll() is not None:
            if self.night is not None:
                self.codes[self.night.returncode] += 1
            self.night = self.stage.run()

    def strike(self, point: str, phase: str) -> None:
        """Arm a point, bring somebody there, and see that the process died there."""
        path = self.armed / f"{point}@{phase}"
        path.touch()
        deadline, self.next_push = time.monotonic() + PATIENCE_S, 0.0
        while path.exists() and time.monotonic() < deadline:
            self.tend()
            if time.monotonic() >= self.next_push and self.stage.trainings():
                self.push(POINTS[point][1])
                self.next_push = time.monotonic() + 5.0
            time.sleep(0.02)
        if path.exists():
            path.unlink(missing_ok=True)
            self.missed.append(f"{point} {phase}")
        (self.armed / "claim.json@before").unlink(missing_ok=True)
        self.look()
        time.sleep(self.rng.uniform(0.0, 0.3))

    def push(self, how: str) -> None:
        """Bring somebody to where the armed point is."""
        stage = self.stage
        if how == "claim":  # a supervisor that dies before it claims leaves the tombstone to the engine
            (self.armed / "claim.json@before").touch()
        elif how == "supervisor" and (found := stage.supervisors()):
            self.rng.choice(found).send(signal.SIGKILL)
        elif how in ("engine", "ballast"):
            if how == "ballast":
                (stage.private / "ballast").unlink(missing_ok=True)
            if engine := stage.engine():
                engine.send(signal.SIGKILL)
        elif how in ("trial", "shift"):
            running = sorted({path.name.split(".")[0] for path in (stage.private / "attempts").iterdir()
                              if not (path / "exit.json").exists()})
            trial = [self.rng.choice(running)] if how == "trial" and running else []
            subprocess.run(
                [sys.executable, "-P", str(INJECTED / "client.py"), str(stage.private), "stop", *trial],
                env=stage.env(), timeout=20.0, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def look(self) -> None:
        """Remember the newest facts: they were acknowledged."""
        if (self.stage.private / "ledger.db").exists():
            ledger = self.stage.ledger()
            try:
                self.samples += [(e.seq, repr(e)) for e in ledger.read(max(0, ledger.last_seq() - 2))]
            finally:
                ledger.close()

    def finish(self, patience_s: float) -> bool:
        """Cap the study at the trials it has, by editing its file while it runs, and let it come to its end."""
        stage = self.stage
        count = len(stage.state().trials)
        stage.file.write_text(stage.plan.toml().replace("trials = 400", f"trials = {count}"))
        return stage.until(self._over, patience_s, pause=0.2)

    def _over(self) -> bool:
        if self.night is not None and self.night.poll() == 0:
            state = self.stage.state()
            if state.shift is None and not state.open:
                return True
        self.tend()
        return False


def hits(round_: Round) -> Counter[str]:
    """How often each point was hit, in each phase, by the word of those who died there."""
    try:
        lines = (round_.armed / "hits").read_text().splitlines()
    except FileNotFoundError:
        return Counter()
    return Counter(line.rsplit(" ", 2)[0] for line in lines)


def points(*, quick: bool, seed: int) -> tuple[list[Row], str]:
    """Strike at every point (quick: at one phase of some) and audit."""
    every = [(point, phase) for point, (phases, _) in POINTS.items() for phase in phases]
    rng = random.Random(seed)
    if quick:
        names = rng.sample(sorted(POINTS), 7)
        every = [(point, rng.choice(POINTS[point][0])) for point in names]
    rng.shuffle(every)
    round_ = Round(seed)
    stage = round_.stage
    try:
        for point, phase in every:
            round_.strike(point, phase)
        again, round_.missed = round_.missed, []
        for name in again:  # an engine that was just starting again may not have come by in time
            round_.strike(*name.rsplit(" ", 1))
        over = round_.finish(60.0)
        found = audit(stage, finished=False)
        vanished = changed(stage, round_.samples)
        counted = hits(round_)
        trials = stage.state().trials.values()
        stopped = [f"{t.id} is {t.status}: {t.reason}" for t in trials if t.status not in ("complete", "stopped")]
    except BaseException:
        stage.close(keep=True)
        print(f"The points could not be played to their end; the folder is {stage.root}", file=sys.stderr)
        raise
    found.unfinished = stopped
    wounded = bool(list(found.harm())) or bool(vanished) or bool(round_.missed) or not over
    stage.close(keep=wounded)
    per_point = {point: sum(n for name, n in counted.items() if name.startswith(f"{point}@")) for point in POINTS}
    rows = [
        none_of("points: named write points not hit", round_.missed, "points"),
        at_least("points: processes killed at write points", sum(counted.values()), len(every), "kills",
                 ", ".join(f"{point} {count}" for point, count in per_point.items() if count)),
        *(Row(**{**vars(row), "name": f"points: {row.name}"}) for row in rows_of(found)),
        none_of("points: facts seen on the way that changed", vanished, "facts"),
        Row(name="points: the study came to its end", ours=float(over), target="1", holds=over,
            note=f"exit codes of the command: {dict(round_.codes)}"),
    ]  # fmt: skip
    return rows, str(stage.root) if wounded else ""


