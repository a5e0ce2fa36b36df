#!/usr/bin/env python3
"""Is the doctor right? Planted faults and healthy scripts (tests/doctoring), each examined by `secondshift doctor --json`.

python3 benchmarks/doctor.py [--only NAME] [--quick] [--jobs 2] [--times 1] [--log FILE] [--json] [--record]
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import preparing

preparing.environment()
ROOT = preparing.ROOT
sys.path.insert(0, str(ROOT / "tests"))

from doctoring import battery  # noqa: E402  # the folders come first

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- doctor: begin -->", "<!-- doctor: end -->"
LOCK = threading.Lock()  # of the log
LONGEST_S = 600.0  # for one examination
QUICK = ("forget-loop", "seed-config", "elsewhere-sdk", "reordered-on-resume", "progress-bar")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One study examined once."""

    case: battery.Case
    judged: battery.Judged | None  # None: no answer at all
    took_s: float
    words: str = ""  # why there is none
    turn: int = 0  # which of the repetitions

    @property
    def right(self) -> bool:
        """Whether the doctor said what it must, and nothing beyond."""
        return self.judged is not None and self.judged.right


def examine(case: battery.Case, place: Path, keep: Path | None = None) -> Outcome:
    """Lay a study out in a folder of its own and have the doctor examine it, as a person would."""
    folder = place / case.name
    battery.lay_out(case, folder)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SECONDSHIFT_")}
    env |= {
        "SECONDSHIFT_HOST_DIR": str(place / f"{case.name}-host"), "PYTHONPATH": str(ROOT / "src"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}",
    }  # fmt: skip
    command = [sys.executable, "-m", "secondshift", "doctor", "--json", *battery.SLOW_WAYS.get(case.name, ())]
    began = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=LONGEST_S,
            start_new_session=True,
        )  # fmt: skip
        answer = json.loads(done.stdout)
        judged = battery.judged(case, answer)
    except subprocess.TimeoutExpired:
        return Outcome(case=case, judged=None, took_s=LONGEST_S, words=f"no answer in {LONGEST_S:g} s")
    except (ValueError, KeyError) as problem:
        words = f"{problem!r}: {(done.stdout + done.stderr)[-600:]}"
        return Outcome(case=case, judged=None, took_s=time.monotonic() - began, words=words)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{case.name}.json").write_text(done.stdout)
    return Outcome(case=case, judged=judged, took_s=time.monotonic() - began)


def logged(file: Path | None, subject: str) -> list[Outcome]:
    """What an earlier call with this log came to before it was cut; only of these very sources and scripts."""
    if file is None or not file.exists():
        return []
    cases = {case.name: case for case in battery.CASES}
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.endswith("}")]
    return [
        Outcome(
            case=cases[line["study"]], turn=line["turn"], took_s=line["took_s"], words=line["words"],
            judged=None if line["judged"] is None else battery.Judged(**line["judged"]),
        )
        for line in lines if line["subject"] == subject and line["study"] in cases
    ]  # fmt: skip


def log(file: Path, outcome: Outcome, subject: str) -> None:
    """Add one outcome to the log, so that a call that is cut can be made again and carries on."""
    judged = None if outcome.judged is None else asdict(outcome.judged)
    line = {"study": outcome.case.name, "turn": outcome.turn, "took_s": round(outcome.took_s, 1), "judged": judged}
    with LOCK, file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({**line, "words": outcome.words, "subject": subject}) + "\n")


def row(outcome: Outcome) -> tuple[str, ...]:
    """What the table says of one study."""
    case, judged = outcome.case, outcome.judged
    expected = case.fault or "no fault, " + (" or ".join(case.tiers) or battery.base_of(case).tier)
    found = (
        outcome.words.splitlines()[0][:200] if judged is None else ", ".join(judged.found) or f"no fault, {judged.tier}"
    )
    verdict = "right" if outcome.right else "**WRONG**: " + ("; ".join(judged.wrong) if judged else "no answer")
    return case.name, case.style, expected, found, verdict, f"{outcome.took_s:.0f}"


HEADS = ("study", "style", "expected", "found", "right?", "seconds")


def table(outcomes: Sequence[Outcome]) -> str:
    """All studies as a table of Markdown."""
    rows = [HEADS, ("---",) * len(HEADS), *(row(outcome) for outcome in outcomes)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def summary(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count what was caught, what was said rightly, and what was said in error."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        kind = "healthy" if not outcome.case.fault else "extra" if outcome.case.extra else "planted"
        judged = outcome.judged
        for name, yes in (
            ("examined", True),
            ("right", outcome.right),
            ("caught" if outcome.case.fault else "without a fault", judged is not None and judged.caught),
        ):
            counts[f"{kind} {name}"] = counts.get(f"{kind} {name}", 0) + yes
    return counts


def section(outcomes: Sequence[Outcome], times: int, where: str) -> str:
    """The section of docs/benchmarks.md."""
    counts = summary(outcomes)
    last = [outcome for outcome in outcomes if outcome.turn == times - 1]
    lines = [
        BEGIN, "## The doctor", "", f"`python3 benchmarks/doctor.py --times {times} --record`", "", f"{where}.", "",
        "Each study is a script of tests/doctoring; a faulty one differs from a healthy one in one thing. It is right if the "
        "fault is said by its own sentence and no other fault is said, or, of a healthy one, if none is and its tier proved. "
        f"Over {times} examinations of each study:", "",
    ]  # fmt: skip
    for kind, title in (
        ("planted", "eight planted faults in three styles"), ("extra", "further planted faults"), ("healthy", "healthy scripts"),
    ):  # fmt: skip
        of = counts.get(f"{kind} examined", 0)
        if of:
            other = "caught" if kind != "healthy" else "without a fault"
            lines.append(
                f"- {title}: {counts[f'{kind} {other}']} of {of} {other}, {counts[f'{kind} right']} of {of} right"
            )
    lines += ["", "| run | right | wrong |", "|---|---|---|"]
    for turn in range(times):
        of = [outcome for outcome in outcomes if outcome.turn == turn]
        wrong = "; ".join(outcome.case.name for outcome in of if not outcome.right)
        lines.append(f"| {turn + 1} | {sum(outcome.right for outcome in of)} of {len(of)} | {wrong or '-'} |")
    wrong = sorted(
        {f"{o.case.name}: {'; '.join(o.judged.wrong) if o.judged else o.words}" for o in outcomes if not o.right}
    )
    lines += ["", "Wrong at least once:", "", *(f"- {text}" for text in wrong or ["none."])]
    return "\n".join([*lines, "", "The last examination of each:", "", table(last), END, ""])


def record(text: str) -> None:
    """Put the section into docs/benchmarks.md in place of the one that is there; other sections stay."""
    before = PAGE.read_text("utf-8")
    head, found, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2].lstrip("\n") if found else ""
    PAGE.write_text(head.rstrip("\n") + "\n\n" + text + (f"\n{tail}" if tail else ""), "utf-8")


def commit_now() -> str:
    """The commit that is checked out, in short; empty where there is none."""
    return _revision("HEAD")


def judged_now() -> str:
    """What a result depends on: the trees of the sources and of the studies, as committed."""
    return f"{_revision('HEAD:src')} {_revision('HEAD:tests/doctoring')}"


def _revision(name: str) -> str:
    describe = ["git", "-C", str(ROOT), "rev-parse", "--short", name]
    return subprocess.run(describe, capture_output=True, text=True, check=False, timeout=10).stdout.strip()


def machine() -> str:
    """Say what this was measured on; no host name."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    python = ".".join(map(str, sys.version_info[:3]))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{today}, {cores} cores, Python {python}, load at start {load:.1f}, commit {commit_now() or 'unknown'}"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", action="append", help="this study, or all whose name begins so; may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--jobs", type=int, default=2, help="examinations side by side")
    parser.add_argument("--times", type=int, default=1, help="how often each study is examined")
    parser.add_argument("--log", type=Path, help="a file of outcomes; what it has of the same sources is not examined again")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--record", action="store_true", help="rewrite the section of docs/benchmarks.md")
    parser.add_argument("--keep", type=Path, help="a folder for what the doctor said of each")
    return parser.parse_args(given)


def examined(
    turns: Sequence[tuple[int, battery.Case]], known: Mapping[tuple[int, str], Outcome], asked: argparse.Namespace, subject: str
) -> list[Outcome]:
    """Examine what is not known yet, several at once; give all outcomes in the order asked."""
    place = Path(tempfile.mkdtemp(prefix="doctor-"))

    def one(asked_for: tuple[int, battery.Case]) -> Outcome:
        turn, case = asked_for
        if (turn, case.name) in known:
            return known[turn, case.name]
        keep = asked.keep / str(turn) if asked.keep else None
        outcome = replace(examine(case, place / str(turn), keep), turn=turn)
        print("... " + "  ".join(row(outcome)), file=sys.stderr, flush=True)
        if asked.log:
            log(asked.log, outcome, subject)
        return outcome

    try:
        with ThreadPoolExecutor(asked.jobs) as pool:
            return list(pool.map(one, turns))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main(given: Sequence[str]) -> int:
    """Examine, print, record. Returns 0 when every study was answered, also with misses; a miss is a result."""
    asked = arguments(given)
    wanted = asked.only or (QUICK if asked.quick else [""])
    cases = [case for case in battery.CASES if any(case.name.startswith(name) for name in wanted)]
    if not cases:
        sys.exit(f"No study begins with {', '.join(wanted)}. There are: {', '.join(c.name for c in battery.CASES)}.")
    where, subject = machine(), judged_now()
    turns = [(turn, case) for turn in range(asked.times) for case in cases]
    known = {(outcome.turn, outcome.case.name): outcome for outcome in logged(asked.log, subject)}
    outcomes = examined(turns, known, asked, subject)
    print(f"{where}\n{table(outcomes)}\n{json.dumps(summary(outcomes))}")
    if asked.record:
        record(section(outcomes, asked.times, where))
    if asked.json:
        counts = summary(outcomes)
        rows = {
            f"doctor: {kind} right": {
                "ours": counts[f"{kind} right"], "unit": "studies", "peers": {}, "target": f">= {counts[f'{kind} examined']}",
                "holds": counts[f"{kind} right"] == counts[f"{kind} examined"],
            }
            for kind in ("planted", "extra", "healthy") if f"{kind} examined" in counts
        }  # fmt: skip
        print(json.dumps(rows))
    return 0 if all(outcome.judged is not None for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
