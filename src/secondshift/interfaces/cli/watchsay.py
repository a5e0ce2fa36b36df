"""The findings of `watch` in words, and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from secondshift.interfaces.cli.printing import indented
from secondshift.interfaces.messages.catalogue import say, sentences
from secondshift.interfaces.messages.formats import number
from secondshift.interfaces.plain import one_line
from secondshift.watching.sightings import Report, RunSeen, Sighting

ENOUGH = 8  # rows after which a column without a number is told of
MOST_RUNS, MOST_OTHERS, MOST_COLUMNS = 40, 5, 30  # listed for people
RANKS = ("page", "ask", "stop", "repair", "note")  # the most pressing first
STYLES = {"page": "bold red", "ask": "red", "stop": "red", "repair": "yellow", "note": "dim"}


def as_json(sighting: Sighting) -> dict[str, object]:
    """A finding for programs."""
    return {
        "stream": sighting.place, "step": sighting.step, "symptom": sighting.symptom, "diagnosis": sighting.diagnosis,
        "action": sighting.action, "confidence": sighting.confidence,
        "evidence": {**sighting.evidence, "since": sighting.since, "lasted": sighting.lasted},
    }  # fmt: skip


def show(screen: Console, report: Report, lang: str) -> None:
    """Print what one look came to: what was read and as what, then what was found, the most pressing first."""
    screen.print(Text(say("watch.read", lang, runs=len(report.runs), points=sum(seen.points for seen in report.runs))))
    for text in guesses(report.runs, lang):
        screen.print(indented(Text(text, style="dim")))
    unseen = blind(report.runs, lang)
    for text in unseen:
        screen.print(indented(Text(text, style="yellow")))
    if lost := sum(seen.lost for seen in report.runs):
        screen.print(indented(Text(say("watch.lost", lang, n=lost, runs=sum(seen.lost > 0 for seen in report.runs)))))
    with_findings = sorted((seen for seen in report.runs if seen.sightings), key=_pressing)
    for seen in with_findings[:MOST_RUNS]:
        screen.print(Text(f"\n{one_line(seen.run)}", style="bold"))
        for text in told_once(seen.sightings, lang):
            screen.print(indented(text))
    if len(with_findings) > MOST_RUNS:
        screen.print(Text(say("watch.more_runs", lang, n=len(with_findings) - MOST_RUNS)))
    if not with_findings:
        screen.print(nothing(lang, blind=bool(unseen)))
    for name in report.unreadable[:MOST_OTHERS]:
        screen.print(Text(say("watch.unreadable", lang, name=name), style="yellow"))
    for name, why in list(report.skipped.items())[:MOST_OTHERS]:
        screen.print(Text(say("watch.skipped", lang, name=name, why=why), style="dim"))
    if len(report.skipped) > MOST_OTHERS:
        screen.print(Text(say("watch.skipped_more", lang, n=len(report.skipped) - MOST_OTHERS), style="dim"))


def guesses(runs: Sequence[RunSeen], lang: str) -> list[str]:
    """How the columns were understood, in one sentence for all runs that are alike."""
    counts = Counter(mapping(seen, lang) for seen in runs if seen.guessed.streams)
    return [
        say("watch.columns", lang, runs=count, mapping=text, goal_word=f"goal_{goal}")
        for (text, goal), count in counts.most_common(MOST_OTHERS)
    ]


def nothing(lang: str, *, blind: bool) -> Text:
    """That nothing is wrong, as far as that can be said of runs whose loss is seen, or is not."""
    return Text(say("watch.nothing_blind", lang), style="yellow") if blind else Text(say("watch.nothing", lang), style="green")


def blind(runs: Sequence[RunSeen], lang: str) -> list[str]:
    """Sentences on runs of which the loss is not seen: no column is taken for it, or the one that is holds no numbers."""
    without: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    for seen in runs:
        streams, step = seen.guessed.streams, seen.guessed.step
        trains = seen.about != "output" or seen.rows >= ENOUGH  # a command that prints a number or two is no training
        if seen.names and trains and not streams.keys() & {"loss", "val_loss"}:
            unused = [one_line(name, limit=40) for name in seen.names if name != step and name not in streams.values()]
            without[", ".join(unused[:MOST_COLUMNS]) or "-"] += 1
        elif "loss" in streams and seen.rows >= ENOUGH and not seen.tails.get("loss") and "loss" in seen.tails:
            empty[one_line(streams["loss"], limit=40)] += 1
    return [say("watch.no_loss", lang, runs=n, columns=text) for text, n in without.most_common(MOST_OTHERS)] + [
        say("watch.no_numbers", lang, runs=n, column=text) for text, n in empty.most_common(MOST_OTHERS)
    ]


def unknown(runs: Sequence[RunSeen], told: Mapping[str, str], lang: str) -> list[str]:
    """A sentence for each column of --map that no run has so far; none while nothing was read."""
    names = sorted({name for seen in runs for name in seen.names})
    return [
        say("watch.unknown", lang, stream=stream, column=column, columns=", ".join(names[:MOST_COLUMNS]))
        for stream, column in told.items() if names and column not in names
    ]  # fmt: skip


def mapping(seen: RunSeen, lang: str) -> tuple[str, str]:
    """The columns of a run by what they were taken for, and the goal."""
    guessed = seen.guessed
    pairs = {"step": guessed.step or say("watch.own" if seen.own_steps else "watch.counted", lang), **guessed.streams}
    pairs |= {key: name for key, name in (("event", guessed.event), ("run", guessed.run)) if name}
    return ", ".join(f"{key} = {name}" for key, name in pairs.items()), guessed.goal


def told_once(sightings: Sequence[Sighting], lang: str) -> list[Text]:
    """The findings in words: what is told again while it lasts is one sentence, with its newest state."""
    episodes: dict[tuple[str, str, int], list[Sighting]] = {}
    for sighting in sightings:
        episodes.setdefault((sighting.stream, sighting.symptom, sighting.since), []).append(sighting)
    return [sentence(group[-1], lang, times=len(group)) for group in episodes.values()]


def sentence(sighting: Sighting, lang: str, times: int = 1, *, named: bool = False) -> Text:
    """A finding in words, with its evidence; `named`: with the run it is of."""
    said = say(
        "watch.finding", lang, step=sighting.step, column=sighting.place if named else sighting.column, since=sighting.since,
        symptom_word=f"symptom_{sighting.symptom}", diagnosis_word=f"cause_{sighting.diagnosis}",
        action_word=f"action_{sighting.action}", sure_share=sighting.confidence,
    )  # fmt: skip
    if times > 1:
        again = say("watch.again", lang, n=times)
        said = f"{said} {again}"
    text = Text(said, style=STYLES.get(sighting.action, ""))
    text.append(f" [{evidence(sighting, lang)}]", style="dim")
    return text


def evidence(sighting: Sighting, lang: str) -> str:
    """What was compared: numbers, and words of the run's own."""
    words = sentences(lang)
    return ", ".join(
        f"{words.get(f'word.evidence_{name}', name)} {one_line(value) if isinstance(value, str) else number(float(value))}"
        for name, value in sighting.evidence.items()
    )


def _pressing(seen: RunSeen) -> tuple[int, str]:
    ranks = [RANKS.index(sighting.action) for sighting in seen.sightings]
    return min(ranks), seen.run
