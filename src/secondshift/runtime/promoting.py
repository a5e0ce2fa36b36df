"""Releasing artefacts that are recorded to be released: the sealed test once, then a copy with a manifest, by one rename."""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from secondshift.records import events as facts
from secondshift.records.gates import Promotion
from secondshift.records.states import State
from secondshift.records.studies import Study
from secondshift.runtime.artefacts import Unfit
from secondshift.runtime.executors.attempt_files import sync_folder, write_atomic
from secondshift.runtime.frozen import NO_ROOM, as_noted, freeze, mark_of, sync_all
from secondshift.runtime.gating import AGAIN_S, MOST_STARTS, Bench, Suites, at_work, ordered, start

MANIFEST = "manifest.json"


class _NotReleased(Exception):
    """Why an artefact cannot be released."""


def act(state: State, bench: Bench, suites: Suites, place: Path) -> list[facts.Payload]:
    """Go on with the oldest promotion that has not ended. place: where the study file lies."""
    study, one = state.study, next((p for p in state.promotions.values() if not p.outcome), None)
    if study is None or one is None:
        return []
    home, sealed = bench.folder / "promotions" / one.id, list[facts.Payload]()
    try:
        _copied(state, study, one, bench.folder, home)
        said = _sealed(study, one, bench, suites, home)
        if said is None:
            return []
        sealed = said
        target = Path(one.to) if one.to else place / "promoted" / one.idea
        digest, files = _released(state, study, one, home, target, sealed)
        ended = facts.PromotionEnded(
            promotion=one.id, idea=one.idea, outcome="released", place=str(target), digest=digest, files=files
        )
        return [*sealed, ended]
    except (_NotReleased, Unfit, OSError) as why:
        if isinstance(why, OSError) and why.errno in NO_ROOM:
            raise
        return [*sealed, facts.PromotionEnded(promotion=one.id, idea=one.idea, outcome="failed", place=str(why)[:400])]


def _copied(state: State, study: Study, one: Promotion, private: Path, home: Path) -> None:
    """Take the very copy that the gate measured, or where there is no gate, what the trial left."""
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    note = home / "candidate.json"
    if note.exists() and (as_noted(home / "candidate") or (home / "lock").exists()):
        return  # what the sealed test has begun on is not made anew: if it changed since, it is not released
    if not one.gate:
        freeze(private, state.trials[one.trial], state.checkpoints.get(one.trial, ()), study, home / "candidate")
        return
    measured = private / "gates" / one.gate / "candidate"
    try:
        known = json.loads(measured.with_name("candidate.json").read_bytes())
    except (OSError, ValueError) as problem:
        raise _NotReleased(f"what the gate measured is not there any more ({problem})") from problem
    if not one.digest or known["digest"] != one.digest or known["mark"] != mark_of(measured):
        raise _NotReleased("the artefact is not what the gate measured")
    shutil.rmtree(home / "candidate", ignore_errors=True)
    shutil.copytree(measured, home / "candidate", symlinks=True)
    sync_all(home / "candidate")
    sync_folder(str(home))
    write_atomic(str(note), json.dumps({"digest": one.digest, "mark": mark_of(home / "candidate")}).encode(), sync=True)


def _sealed(study: Study, one: Promotion, bench: Bench, suites: Suites, home: Path) -> list[facts.Payload] | None:
    """What the sealed test said; None while it runs. Nothing where the study has none."""
    if not study.gate.sealed_command:
        return []
    try:
        found: dict[str, Any] = json.loads((home / "sealed.json").read_bytes())  # Any: JSON as `suites` wrote it
    except (OSError, ValueError):
        if suites.starts[one.id] >= MOST_STARTS:
            found = {"failed": "the process that measures died again and again"}
        else:
            if not suites.busy() and not at_work(home) and time.monotonic() - suites.started_at > AGAIN_S:
                item = {"number": "sealed", "side": "candidate"}
                command = bench.command(study.gate.sealed_command, home / "candidate")
                start(ordered(home, bench, [{**item, "command": command}], study.gate.timeout_s), home, suites, one.id)
            return None
    metric = study.gate.sealed_metric
    value = found.get("metrics", {}).get(metric, math.nan)
    failed = found.get("failed", "") or ("" if math.isfinite(value) else f"it printed no finite {metric}")
    return [facts.SealedMeasured(
        promotion=one.id, idea=one.idea, metric=metric, value=value, failed=failed, took_s=found.get("took_s", 0.0)
    )]  # fmt: skip


def _released(
    state: State, study: Study, one: Promotion, home: Path, target: Path, sealed: Sequence[facts.Payload]
) -> tuple[str, int]:
    """Put artefact and manifest into place by one rename; give the artefact's digest and its number of files."""
    source, kept = home / "candidate", json.loads((home / "candidate.json").read_bytes())
    if kept["mark"] != mark_of(source):
        raise _NotReleased("the artefact changed after it was measured")
    if os.path.lexists(target):
        if _is_ours(target, study, one, kept["digest"]):  # the rename was done, and the fact not yet recorded
            return kept["digest"], len(kept["mark"])
        raise _NotReleased(f"{target} is there already. Name another folder with --to PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{one.id}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        files: dict[str, str] = {}
        for name in sorted(str(entry[0]) for entry in kept["mark"]):
            files[name] = _put(source / name, draft / "artefact" / name)
        manifest = _manifest(state, study, one, kept["digest"], files, sealed)
        write_atomic(str(draft / MANIFEST), json.dumps(manifest, indent=1, ensure_ascii=False).encode(), sync=True)
        for folder, _, _ in os.walk(draft):
            sync_folder(folder)
        os.rename(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sync_folder(str(target.parent))
    return kept["digest"], len(files)


def _put(source: Path, target: Path) -> str:
    """Copy one file durably; give its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    total = hashlib.sha256()
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as old, open(target, "xb") as new:
        while piece := old.read(1 << 20):
            total.update(piece)
            new.write(piece)
        new.flush()
        os.fsync(new.fileno())
    return total.hexdigest()


def _is_ours(target: Path, study: Study, one: Promotion, digest: str) -> bool:
    """Say whether a folder is this very release; promotions of every study are numbered from 1."""
    ours = {"promotion": one.id, "request": one.request, "study": study.name, "artefact": digest}
    try:
        return ours.items() <= json.loads((target / MANIFEST).read_bytes()).items()
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _manifest(
    state: State, study: Study, one: Promotion, digest: str, files: dict[str, str], sealed: Sequence[facts.Payload]
) -> dict[str, Any]:  # Any: JSON
    """What a release says of itself: where it comes from, what was found of it, and who let it go."""
    run, verdict = state.gates.get(one.gate), state.verdicts.get(one.idea)
    tests = [{**asdict(test), "opening": state.openings} for test in sealed if isinstance(test, facts.SealedMeasured)]
    found: dict[str, Any] = {
        "format": 1, "promotion": one.id, "request": one.request, "study": study.name, "revision": study.revision, "idea": one.idea,
        "text": state.ideas[one.idea].text, "candidate": one.candidate, "params": dict(state.candidates[one.candidate].params),
        "trial": one.trial, "seed": state.trials[one.trial].seed, "artefact": digest, "files": files, "who": one.who,
        "because": one.because, "promoted_at": time.time(), "sealed": tests,
        "verdict": None if verdict is None else {
            "decision": verdict.decision, "effect": verdict.effect, "low": verdict.low, "high": verdict.high,
            "pairs": verdict.pairs,
        },
        "gate": None if run is None else {
            "id": run.id, "verdict": run.verdict, "reason": run.reason, "rows": [asdict(row) for row in run.rows],
        },
    }  # fmt: skip
    return _finite(found)


def _finite(value: Any) -> Any:  # Any: JSON
    """Numbers that JSON cannot hold become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
