"""The parts of the captain's benchmark: which streams each one reads, and which figures it makes of the scores."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from captain import data, saving, woken
from captain.data import Part, Stream
from captain.peers import PEERS
from captain.scoring import PAGES, WITHIN, WITHIN_SLOW, Figure, Table, judge, poisson_upper, reached_by, wilson
from secondshift.policies.captain.crashes import classify
from secondshift.policies.captain.symptoms.findings import Finding
from secondshift.policies.captain.symptoms.following import follow, start

BUMPS = ("recovered_bump", "bumps_short", "recurrent_spikes", "planned_restart")
APART = 50  # steps; alarms of a peer that are closer than that count as one


@dataclass(kw_only=True)
class Reported:
    """What one part found: figures for people, and the rows of the contract in benchmarks/README.md."""

    lines: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, object]] = field(default_factory=dict)

    def row(
        self, name: str, ours: float | None, unit: str, target: str, holds: bool | None, peers: dict[str, float] | None = None
    ) -> None:
        """One row of the contract; `holds` is None where nothing is asked."""
        self.rows[name] = {"ours": None if ours is None else round(ours, 6), "unit": unit, "peers": peers or {},
                           "target": target, "holds": bool(holds) if holds is not None else target == ""}  # fmt: skip


def findings_of(stream: Stream) -> list[Finding]:
    """What the captain finds in one run that is over."""
    state, found = follow(start(goal=stream.goal), stream.rows, announced=stream.announced)
    return found + state.finish()


@dataclass(kw_only=True)
class Peer:
    """How one peer did: its alarms carry no symptom, so that any alarm in time is a hit."""

    faults: int = 0
    hits: int = 0
    alarms: int = 0  # on lookalikes and healthy runs
    alarmed: int = 0  # such runs
    healthy: int = 0  # such runs
    steps: int = 0

    def take(self, alarms: Sequence[int], stream: Stream) -> None:
        """Count one run."""
        expected = stream.expected
        if expected.fault:
            until = expected.onset + (WITHIN_SLOW if expected.slow else WITHIN)
            self.faults += 1
            self.hits += any(expected.onset <= alarm <= until for alarm in alarms)
            return
        apart = [alarm for before, alarm in pairwise([-APART, *alarms]) if alarm - before >= APART]
        self.alarms += len(apart)
        self.alarmed += bool(apart)
        self.healthy += 1
        self.steps += int(stream.rows[-1]["step"] or 0) + 1


def peers_of(streams: Iterable[Stream]) -> dict[str, Peer]:
    """All peers on the same runs."""
    found = {name: Peer() for name in PEERS}
    for stream in streams:
        rows = [{"loss": None, "val_loss": None, "grad_norm": None, **row} for row in stream.rows]
        for name, detect in PEERS.items():
            found[name].take(detect(rows, stream.goal), stream)
    return found


def shown(value: object) -> str:
    """A figure for people."""
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table_of(streams: Iterable[Stream]) -> Table:
    """Scores of all runs."""
    return Table(scores=[judge(findings_of(one), one.expected, int(one.rows[-1]["step"] or 0) + 1) for one in streams])


def kinds_of(table: Table) -> Iterator[str]:
    """One line a kind."""
    yield "  | kind | runs | recall | right first | right cause | paged | median delay | false pages | false acts | notes |"
    yield "  |---|---|---|---|---|---|---|---|---|---|"
    for kind, part in table.by_kind().items():
        found = part.summary()
        cells: list[object] = [kind + (" (held out)" if part.scores[0].held_out else ""), len(part.scores)]
        cells += [found[name] for name in ("recall", "right first finding", "right cause", "recall by a page", "delay median")]
        cells += [sum(getattr(score, name) for score in part.scores) for name in ("false_pages", "false_acts", "notes")]
        yield "  | " + " | ".join(map(shown, cells)) + " |"


def _told(name: str, part: str, summary: dict[str, Figure]) -> list[str]:
    return [f"{name}, {part}:", *(f"  {key}: {shown(value)}" for key, value in summary.items())]


def trainings(name: str, streams: Sequence[Stream], tuning: Sequence[Stream]) -> Reported:
    """Live faults or our own generator: judged kinds, and those that were held out, apart."""
    found = Reported()
    before = table_of(tuning)
    found.lines += _told(name, "TUNING part (not a result)", before.summary()) + list(kinds_of(before))
    table = table_of(streams)
    found.lines += [f"{name}, judging part, kind by kind:", *kinds_of(table)]
    for part, held_out, limits in (("seen kinds", False, (0.95, 0.90)), ("held-out kinds", True, (0.70, 0.50))):
        chosen = [one for one in streams if one.expected.held_out == held_out]
        summary = table.part(held_out=held_out).summary()
        found.lines += _told(name, f"judging part, {part}", summary)
        peers = peers_of(chosen)
        for peer, counted in peers.items():
            rate = counted.alarms * 1e5 / counted.steps if counted.steps else 0.0
            found.lines.append(
                f"  beside it, {peer}: recall {counted.hits / max(1, counted.faults):.2f}, "
                f"alarms per 100k lookalike steps {rate:.1f}, on {counted.alarmed} of {counted.healthy} lookalikes"
            )
        recalls = {peer: counted.hits / counted.faults for peer, counted in peers.items()}
        rates = {peer: counted.alarms * 1e5 / max(1, counted.steps) for peer, counted in peers.items()}
        for row, limit in (("recall", limits[0]), ("right first finding", limits[1])):
            value = summary[row]
            assert isinstance(value, float)
            found.row(f"{name}, {part}: {row}", value, "share", f">= {limit}", value >= limit,
                      recalls if row == "recall" else None)  # fmt: skip
        for row in ("false pages per 100k lookalike steps", "false acts per 100k lookalike steps"):
            value = summary[row]
            assert isinstance(value, float)
            found.row(f"{name}, {part}: {row}", value, "per 100k steps", "<= 2", value <= 2, rates)
    return found


def live(folder: Path) -> Reported:
    """The README's live faults."""
    streams = list(data.live(folder))
    judging = [one for one in streams if one.part == "judging"]
    return trainings("live faults", judging, [one for one in streams if one.part == "tuning"])


def generated(seeds: int, held_out: int) -> Reported:
    """Our own generator; `held_out` seeds of the kinds that are held out, and of those that end elevated or do not."""
    judging = list(data.generated("judging", seeds, held_out=held_out))
    found = trainings("own generator", judging, list(data.generated("tuning", max(2, seeds // 2))))
    for kind, name in (("ended_elevated", "ended elevated"), ("ended_short", "ended elevated, first hundred steps")):
        scores = table_of(data.generated("judging", held_out, names=[kind])).scores
        asked = sum(score.paged for score in scores)
        found.lines.append(f"own generator: {name}: {asked} of {len(scores)} asked about, interval {wilson(asked, len(scores))}")
        found.row(f"own generator: {name}, asked about", asked / len(scores), "share", ">= 0.8", asked >= 0.8 * len(scores))
    bumps = table_of(data.generated("judging", held_out, names=BUMPS))
    for kind, table in bumps.by_kind().items():
        asked = sum(score.false_pages > 0 for score in table.scores)
        found.lines.append(f"own generator: {kind}: {asked} of {len(table.scores)} asked about")
    pages = sum(score.false_pages for score in bumps.scores)
    found.row("own generator: pages on recovered bumps and announced restarts", float(pages), f"on {len(bumps.scores)} runs",
              "0", pages == 0)  # fmt: skip
    return found


@dataclass(kw_only=True)
class Real:
    """Counts over real runs of one label."""

    runs: int = 0
    hours: float = 0.0
    pages: int = 0
    acts: int = 0
    notes: int = 0
    found: int = 0  # runs with an acceptable finding of any rung at or after the onset
    paged: int = 0  # ... that asked
    acted: int = 0  # ... above a note
    at_onset: int = 0  # ... at the very step of the onset
    asked_h: list[float] = field(default_factory=list)  # hours trained before each false page


def _real(streams: Iterable[Stream]) -> dict[str, Real]:
    counts: dict[str, Real] = defaultdict(Real)
    for stream in streams:
        one, expected = counts[stream.expected.kind], stream.expected
        told = findings_of(stream)
        after = [each for each in told if each.step >= expected.onset and each.symptom in expected.acceptable]
        wrong = [each for each in told if not expected.fault or each.step < expected.onset]
        one.runs += 1
        one.hours += stream.hours
        paged = {each.symptom: each.step for each in reversed(wrong) if reached_by(each) in PAGES}
        one.pages += len(paged)
        one.asked_h += [stream.hours * step / max(1.0, stream.rows[-1]["step"] or 0.0) for step in paged.values()]
        one.acts += len({each.symptom for each in wrong if reached_by(each) != "note"})
        one.notes += sum(reached_by(each) == "note" for each in wrong)
        one.found += bool(after)
        one.acted += any(reached_by(each) != "note" for each in after)
        one.paged += any(reached_by(each) in PAGES for each in after)
        one.at_onset += any(each.step == expected.onset and each.symptom == "non_finite" for each in after)
    return dict(counts)


def _counts(one: Real) -> str:
    return ", ".join(f"{name} {shown(value)}" for name, value in vars(one).items() if name != "asked_h")


def _hours(counts: dict[str, Real]) -> tuple[float, int]:
    return sum(one.hours for one in counts.values()), sum(one.pages for one in counts.values())


def real(folder: Path) -> Reported:
    """Real runs: false pages per run-hour, every NaN at once, ended elevated; peers on the healthy ones."""
    found = Reported()
    every = [*data.algoperf(folder), *data.nanogpt(folder)]
    for part in ("tuning", "judging"):
        streams = [one for one in every if one.part == part]
        counts = _real(streams)
        hours, pages = _hours(counts)
        found.lines.append(f"real runs, {part} part{' (not a result)' if part == 'tuning' else ''}: {hours:.0f} run-hours")
        for kind, one in counts.items():
            found.lines.append(f"  {kind}: {_counts(one)}")
        rate, most = pages / hours * 1000, poisson_upper(pages) / hours * 1000
        found.lines.append(f"  false pages per 1,000 run-hours: {rate:.2f}, at most {most:.2f}")
        if part == "tuning":
            continue
        found.lines += woken.lines([asked for one in counts.values() for asked in one.asked_h], hours)
        rates, caught = _peers_real(streams, hours)
        found.lines += [f"  beside it, {peer}: {rate:.1f} alarms per 1,000 run-hours" for peer, rate in rates.items()]
        found.row("real runs: false pages per 1,000 run-hours", rate, "per 1,000 h", "<= 1", rate <= 1.0, rates)
        diverged, elevated = counts["diverged_nonfinite"], counts["ended_elevated"]
        found.row("real runs: NaN found at its first logged point", diverged.at_onset / diverged.runs, "share", "1",
                  diverged.at_onset == diverged.runs)  # fmt: skip
        found.lines.append(f"  ended elevated, paged: interval {wilson(elevated.paged, elevated.runs)}")
        found.row("real runs: ended elevated, asked about", elevated.paged / elevated.runs, "share", ">= 0.8",
                  elevated.paged >= 0.8 * elevated.runs, caught)  # fmt: skip
        recovered = sum(counts[kind].pages for kind in ("spike_recovered", "recurrent_spikes_recovered", "planned_restart"))
        found.row("real runs: pages on recovered bumps and announced restarts", float(recovered), "pages", "0", recovered == 0)
    return found


def _peers_real(streams: Sequence[Stream], hours: float) -> tuple[dict[str, float], dict[str, float]]:
    counted = peers_of(one for one in streams if one.expected.kind != "ended_elevated")
    rates = {peer: one.alarms / hours * 1000 for peer, one in counted.items()}
    elevated = [one for one in streams if one.expected.kind == "ended_elevated"]
    caught = {
        peer: sum(any(alarm >= one.expected.onset for alarm in detect([{"loss": None, "val_loss": None, "grad_norm": None, **row}
                  for row in one.rows], one.goal)) for one in elevated) / max(1, len(elevated))
        for peer, detect in PEERS.items()
    }  # fmt: skip
    return rates, caught


def saves(folder: Path | None, seeds: int, held_out: int) -> Reported:
    """What is done only to save time, on the judging parts of all data with evaluations or step times."""
    found = Reported()
    sources: dict[str, Iterable[Stream]] = {"own generator": data.generated("judging", seeds, held_out=held_out)}
    if folder is not None:
        sources |= {"live faults": data.live(folder), "real runs (AlgoPerf)": data.algoperf(folder)}
    for name, streams in sources.items():
        counts = saving.saved(one for one in streams if one.part == "judging")
        found.lines += [f"saving time, {name}:", *saving.lines(counts)]
        ended, better, wrong = counts.ended.total(), len(counts.better), counts.moved_wrongly()
        found.row(f"{name}: ended at their best, and better later", float(better), f"of {ended}", "", None)
        found.row(f"{name}: moved, and the device was not slow", float(wrong), f"of {counts.runs.total()}", "0", wrong == 0)
    return found


def rl(folder: Path) -> Reported:
    """Healthy reinforcement learning: nothing may ask."""
    found = Reported()
    every = list(data.rl(folder))
    parts: tuple[Part, Part] = ("tuning", "judging")
    for part in parts:
        streams = [one for one in every if one.part == part]
        told = {one.name: findings_of(one) for one in streams}
        paged = [name for name, each in told.items() if any(reached_by(finding) != "note" for finding in each)]
        notes = Counter(finding.symptom for each in told.values() for finding in each)
        label = " (not a result)" if part == "tuning" else ""
        found.lines.append(f"rl, {part} part{label}: {len(paged)} of {len(streams)} runs asked about or acted on")
        found.lines.append(f"  findings: {dict(notes)}")
        if part == "judging":
            peers = peers_of(streams)
            found.row("rl: healthy runs asked about or acted on", float(len(paged)), f"of {len(streams)}", "0", not paged,
                      {peer: float(one.alarmed) for peer, one in peers.items()})  # fmt: skip
    return found


def crash(folder: Path) -> Reported:
    """Excerpts of real job logs: the class, and that nothing deterministic is retried."""
    found = Reported()
    every = list(data.excerpts(folder))
    for part in ("tuning", "judging"):
        chosen = [one for one in every if one.part == part]
        label = f"crash excerpts, {part} part{' (not a result)' if part == 'tuning' else ''}"
        for given in ("excerpt and what the dossier found in the whole log", "excerpt alone"):
            told = [(one.right, classify(one.head, one.tail, signs=one.signs if "and" in given else ())) for one in chosen]
            right = sum(asked == crash.name for asked, crash in told)
            again = sum(asked in data.DETERMINISTIC and not crash.deterministic for asked, crash in told)
            wrong = dict(Counter(f"{asked} taken for {crash.name}" for asked, crash in told if asked != crash.name))
            low, high = wilson(right, len(told))
            found.lines.append(
                f"{label}, {given}: {right} of {len(told)} right ({low:.2f} to {high:.2f}), "
                f"deterministic failures that would be retried: {again}; wrong: {wrong}"
            )
            if part == "tuning":
                continue
            found.row(f"crash {given}: right class", right / len(told), "share", ">= 0.9", right >= 0.9 * len(told))
            found.row(f"crash {given}: deterministic ones retried", float(again), f"of {len(told)}", "0", not again)
    return found


def speed() -> Reported:
    """How many streams of one point a second one core follows, and how long 1,000 runs of 1,000 points take."""
    found = Reported()
    rows = [row for kind in ("healthy", "small_data_epochs", "labels_wrong") for row in data.generator.generate(kind, 5)[0].rows]
    best: dict[str, float] = {}
    for name, columns in (("loss only", ("step", "loss")), ("nine columns", tuple(rows[0]))):
        narrow = [{column: row[column] for column in columns} for row in rows]
        for turn, row in enumerate(narrow):
            row["step"] = float(turn)
        times = []
        for _ in range(5):
            began = time.process_time()
            follow(start(), narrow)
            times.append((time.process_time() - began) / len(narrow))
        streams = (len(columns) - 1) / sorted(times)[2]
        best[name] = streams
        found.lines.append(f"speed, {name}: {sorted(times)[2] * 1e6:.1f} us a row, {streams:.0f} streams at one point a second")
    lowest = min(best.values())
    found.row("streams that one core follows at one point a second", lowest, "streams", ">= 2000", lowest >= 2000)
    return found
