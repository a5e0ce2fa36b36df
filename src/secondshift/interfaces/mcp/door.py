"""What every tool has at hand: the study, opened for reading, and who asks."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from secondshift.errors import SecondshiftError
from secondshift.interfaces.cli.askers import study_file
from secondshift.interfaces.cli.desk import Desk, Sitting, idea_named, trial_named
from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.plain import one_line
from secondshift.interfaces.readmodel.overview import Holder
from secondshift.records.askers import AGENT
from secondshift.records.ideas import Idea
from secondshift.records.nights import Statement
from secondshift.records.states import State
from secondshift.records.trials import Trial

_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One look at a study."""

    file: Path
    desk: Desk | None  # None before its first shift
    state: State
    holder: Holder

    @property
    def folder(self) -> Path:
        """The study's private folder."""
        return self.file.resolve().parent / ".secondshift"

    def trial(self, name: str) -> Trial:
        """The trial of this name. Raises SecondshiftError."""
        return trial_named(self.state, name)

    def idea(self, name: str) -> Idea:
        """The idea of this name. Raises SecondshiftError."""
        return idea_named(self.state, name)


def _no_brief(seen: Seen, shift: str, lang: str) -> tuple[str, str]:
    raise SecondshiftError(f"No brief of {shift or 'a shift'} can be composed here. `secondshift brief --lang {lang}` does.")


@dataclass(kw_only=True, slots=True)
class Door:
    """One client's way to one study. Tools may be called from any thread."""

    study: Path | None = None  # as it was named; None: looked for here and above, anew at each call
    lang: str = "en"
    brief_of: Callable[[Seen, str, str], tuple[str, str]] = _no_brief  # of a shift or the newest, in a language: its name, Markdown
    who: str = f"{AGENT}unnamed"
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _sitting: Sitting | None = None

    def introduce(self, client: str) -> None:
        """Take down what the client calls itself. A name is no proof of anything: it tells agents apart, and no more."""
        self.who = AGENT + (_STRANGE.sub("-", client)[:40].strip("-") or "unnamed")

    @contextmanager
    def looking(self) -> Iterator[Seen]:
        """Look at the study as it is now; nobody else reads meanwhile. Raises StudyMissing and what opening a ledger does."""
        with self._lock:
            file = study_file(self.study)
            if self._sitting is None or self._sitting.file != file:
                self.close()
                self._sitting = Sitting(file=file)
            desk = self._sitting.desk()
            state, holder = (desk.state(), desk.holder()) if desk else (State(), Holder(life="never"))
            yield Seen(file=file, desk=desk, state=state, holder=holder)

    def say(self, statements: Sequence[Statement], most: int = 10) -> list[str]:
        """The first of these sentences in the reader's language, each on one line."""
        return [one_line(tell(statement, self.lang), limit=300) for statement in statements[:most]]

    def close(self) -> None:
        """Give the ledger back."""
        with self._lock:
            if self._sitting is not None:
                self._sitting.close()
                self._sitting = None
