#!/usr/bin/env python3
"""Is the doctor right? Planted faults and healthy scripts (tests/doctoring), each examined by `secondshift doctor --json`.

python3 benchmarks/doctor.py [--only NAME] [--quick] [--jobs 2] [--times 1] [--json] [--record]
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "tests"), str(HERE)]

from doctoring import battery  # noqa: E402  # the folders come first

PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- doctor: begin -->", "<!-- doctor: end -->"
LONGEST_S = 600.0  # for one examination
QUICK = ("forget-loop", "seed-config", "elsewhere-sdk", "reordered-on-resume", "progress-bar")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One study examined once."""

    case: battery.Case
    judged: battery.Judged | None  # None: no answer at all
    took_s: float
    words: str = ""  # why there is none

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
    last = outcomes[-len(outcomes) // times :]
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


def machine() -> str:
    """Say what this was measured on; no host name."""
    describe = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False, timeout=10).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    python = ".".join(map(str, sys.version_info[:3]))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{today}, {cores} cores, Python {python}, load at start {load:.1f}, commit {commit or 'unknown'}"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", action="append", help="this study, or all whose name begins so; may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--jobs", type=int, default=2, help="examinations side by side")
    parser.add_argument("--times", type=int, default=1, help="how often each study is examined")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--record", action="store_true", help="rewrite the section of docs/benchmarks.md")
    parser.add_argument("--keep", type=Path, help="a folder for what the doctor said of each")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> int:
    """Examine, print, record. Returns 0 when every study was answered, also with misses; a miss is a result."""
    asked = arguments(given)
    wanted = asked.only or (QUICK if asked.quick else [""])
    cases = [case for case in battery.CASES if any(case.name.startswith(name) for name in wanted)]
    if not cases:
        sys.exit(f"No study begins with {', '.join(wanted)}. There are: {', '.join(c.name for c in battery.CASES)}.")
    where, place = machine(), Path(tempfile.mkdtemp(prefix="doctor-"))
    outcomes: list[Outcome] = []

    def one(number_case: tuple[int, battery.Case]) -> Outcome:
        outcome = examine(number_case[1], place / str(number_case[0]), asked.keep)
        print("... " + "  ".join(row(outcome)), file=sys.stderr, flush=True)
        return outcome

    try:
        with ThreadPoolExecutor(asked.jobs) as pool:
            outcomes += pool.map(one, enumerate(cases * asked.times))
    finally:
        shutil.rmtree(place, ignore_errors=True)
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
