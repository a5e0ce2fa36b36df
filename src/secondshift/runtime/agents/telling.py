"""What an agent is told: the brief of policy, with what only files hold: the person's program.md and the ends of outputs."""

from pathlib import Path

from secondshift import plugins
from secondshift.records.agent_calls import AgentCall
from secondshift.records.states import State
from secondshift.runtime import changes
from secondshift.runtime.executors.attempt_files import tail
from secondshift.runtime.repositories import ChangeUnusable
from secondshift.runtime.snapshots import mask

PROGRAM = "program.md"  # beside the study file: how a person steers
PROGRAM_BYTES = 16_384
OUTPUT_BYTES = 1_500  # of the end of one trial's output
OUTPUTS = 3  # trials whose outputs are quoted, the newest


def told(state: State, call: AgentCall, private: Path, place: Path) -> str:
    """The text of a call's brief, with what looks like a secret masked."""
    over = (t for t in reversed(list(state.trials.values())) if t.attempts and t.status in ("failed", "complete"))
    newest = [trial for trial in over if not state.of_canary(trial)]
    before = state.calls.get(call.repairs)
    broken = state.failed_run(before) if before is not None else None
    newest = [broken, *(trial for trial in newest if trial.id != broken.id)] if broken is not None else newest
    outputs = {
        trial.id: tail(str(private / "attempts" / f"{trial.id}.a{trial.attempts}" / "output.log"), OUTPUT_BYTES)
        for trial in newest[:OUTPUTS]
    }
    patches = {name: _patch(state.candidates[name].code, private) for name in call.task.beside}
    patches |= {before.id: _patch(before.change, private)} if before is not None else {}
    text = plugins.briefing()(state, call, program=_program(place), outputs=outputs, patches=patches)
    return mask(text.encode("utf-8", "replace"), config=True)[0].decode("utf-8", "replace")


def _program(place: Path) -> str:
    try:
        with open(place / PROGRAM, "rb") as file:
            return file.read(PROGRAM_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _patch(code: str, private: Path) -> str:
    """What code changes, oldest change first."""
    try:
        return "\n".join(changes.read(private, digest).decode("utf-8", "replace") for digest in code.split("+") if digest)
    except ChangeUnusable:
        return ""
