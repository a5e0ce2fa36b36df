"""Which language a verb speaks. Apart from the desk, whose ledger takes half a second to load."""

import os

from secondshift.errors import SecondshiftError
from secondshift.interfaces.messages.formats import LANGUAGES


def language(lang: str | None) -> str:
    """The language to speak: the one asked for, else SECONDSHIFT_LANG, else that of the terminal. Raises SecondshiftError."""
    asked = lang or os.environ.get("SECONDSHIFT_LANG", "")
    if asked:
        if asked in LANGUAGES:
            return asked
        raise SecondshiftError(
            f"No catalogue speaks {asked!r}. Expected one of {', '.join(LANGUAGES)}; say --lang {LANGUAGES[0]}."
        )
    spoken = next((os.environ[n] for n in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(n)), "")
    return "ko" if spoken.startswith("ko") else "en"
