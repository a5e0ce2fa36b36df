"""The verb `drill`: make something go wrong on purpose in a real training, and watch what the captain does about it."""

import os
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.languages import language
from secondshift.interfaces.cli.printing import document
from secondshift.interfaces.drills import running
from secondshift.interfaces.drills.judging import SAME, Row, judged
from secondshift.interfaces.drills.kinds import ENGINE_KILLED, KINDS
from secondshift.interfaces.messages.catalogue import say
from secondshift.ledger.opening import open_ledger
from secondshift.ledger.stores import Ledger
from secondshift.records import events as facts
from secondshift.runtime.executors.processes import signal_process
from secondshift.runtime.hosts import start_ticks

LIMIT_S = 180.0  # for one drill
SPOILT = 1  # exit code: it did not come to what it should


def drill(
    kind: Annotated[str | None, Parameter(help="What shall go wrong; left out: list the kinds.")] = None,
    /,
    *,
    case: Annotated[int, Parameter(help="Which data, and where it goes wrong.")] = 1,
    keep: Annotated[Path | None, Parameter(help="A new folder for the drill's study; left out: it is deleted.")] = None,
    lang: Annotated[str | None, Parameter(help="en or ko.")] = None,
    json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document instead.")] = False,
) -> int:
    """Run one drill and say what it came to; 0 if the captain did what he should."""
    tongue = language(lang)
    if kind is None:
        for name in (*KINDS, ENGINE_KILLED):
            sentence = say(f"drill_kind.{name}", tongue)
            print(f"{name:26}{sentence}")
        return 0
    if kind not in (*KINDS, ENGINE_KILLED):
        near = get_close_matches(kind, [*KINDS, ENGINE_KILLED], n=1)
        meant = f" Did you mean {near[0]}?" if near else " `secondshift drill` lists them."
        raise SecondshiftError(f"There is no drill {kind!r}.{meant}")
    if case < 0:
        raise SecondshiftError(f"--case was {case}. Expected 0 or more: the number of a case.")
    place = Path(tempfile.mkdtemp(prefix="secondshift-drill-")) if keep is None else keep.resolve()
    if (place / "study").exists():
        raise SecondshiftError(f"--keep {keep}: a study is in it already, and is not written over. Name a new folder.")
    try:
        fine, rows = _perform(kind, case, place / "study", tongue, quiet=json)
    finally:
        if keep is None:
            shutil.rmtree(place, ignore_errors=True)
    if json:
        document({"drill": kind, "case": case, "ok": fine, "rows": [_plain(row) for row in rows]})
    return 0 if fine else SPOILT


def _perform(kind: str, case: int, place: Path, lang: str, *, quiet: bool) -> tuple[bool, list[Row]]:
    """Do one drill in `place`, which is made, and tell it; whether it came to what it should, and what it was judged by.

    quiet: tell it on standard error.
    """
    fault = "bad_shard" if kind == ENGINE_KILLED else kind
    teller = _Teller(lang=lang, quiet=quiet, kill=kind == ENGINE_KILLED)
    try:
        study = running.lay_out(place, title=kind, faults=[fault], cases=[case], slots=3)
    except OSError as problem:
        raise SecondshiftError(f"{place} cannot be made: {problem.strerror}. Name with --keep a folder that can.") from problem
    teller.say(say("drill.begins", lang, kind=kind, sentence=say(f"drill_kind.{kind}", lang), folder=str(place)))
    running.run(study, limit_s=LIMIT_S, heard=teller.hear)
    ledger = open_ledger(place / ".secondshift", readonly=True)
    try:
        rows = judged(ledger)
    finally:
        ledger.close()
    fine = bool(rows) and rows[0].as_it_should and (not teller.kill or teller.killed > 0)
    for row in rows:
        teller.say(_ending(lang, row))
    ends = KINDS[fault].ends.replace(" ", "_")
    teller.say(say("drill.fine" if fine else "drill.spoilt", lang, ends_word=f"ends_{ends}"))
    return fine, rows


def _ending(lang: str, row: Row) -> str:
    known = "drill.over" if row.kind.lasting else "drill.twin"  # no twin to compare with: nothing mends a lasting fault
    key = known if row.ratio < float("inf") else "drill.no_twin"
    return say(key, lang, trial=row.trial, status_word=row.status, ratio=round(row.ratio, 3), same=SAME)


def _plain(row: Row) -> dict[str, object]:
    return {
        "trial": row.trial, "status": row.status, "ratio_to_twin": row.ratio if row.ratio < float("inf") else None,
        "causes": row.causes, "remedies": row.remedies, "asked": row.asked, "found_after_steps": row.found_after,
        "executed_steps": row.executed, "kept_steps": row.kept, "as_it_should": row.as_it_should,
    }  # fmt: skip


@dataclass(kw_only=True)
class _Teller:
    """Says what the ledger says of the incident, each line marked DRILL; may kill the engine in the middle of it."""

    lang: str
    quiet: bool
    kill: bool
    killed: int = 0
    engine: int = 0

    def say(self, text: str) -> None:
        """One line for the person who watches."""
        print(f"DRILL  {text}", file=sys.stderr if self.quiet else sys.stdout, flush=True)

    def hear(self, ledger: Ledger, event: facts.Event) -> None:
        """Tell a fact, if it is one of the captain's."""
        fact, lang = event.payload, self.lang
        if isinstance(fact, facts.LeaseTaken):
            self.engine = int(fact.holder.rpartition(":")[2])
            if self.killed:
                self.say(say("drill.engine_again", lang, pid=str(self.engine)))
        elif isinstance(fact, facts.SymptomSeen):
            for one in fact.findings[:3]:
                symptom = f"symptom_{one.symptom}"
                self.say(say("drill.seen", lang, trial=fact.trial, symptom_word=symptom, step=one.step, since=one.since))
        elif isinstance(fact, facts.IncidentOpened) and fact.incident.cause:
            one = fact.incident
            self.say(say("drill.opened", lang, incident=one.id, trial=one.subject, cause_word=f"cause_{one.cause}"))
            self._kill_engine()
        elif isinstance(fact, facts.TrialHelped):
            self.say(say("drill.helped", lang, trial=fact.trial, remedy_word=f"remedy_{fact.act.remedy}"))
        elif isinstance(fact, facts.IncidentClosed):
            self.say(say("drill.closed", lang, incident=fact.incident))

    def _kill_engine(self) -> None:
        due = self.kill and not self.killed and self.engine not in (0, os.getpid())
        if due and signal_process(self.engine, start_ticks(self.engine), signal.SIGKILL):
            self.killed = self.engine
            self.say(say("drill.engine_killed", self.lang, pid=str(self.engine)))
