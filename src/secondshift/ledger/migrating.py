"""Bringing a ledger's tables up to date, with the migrations that lie inside the package."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from secondshift.errors import LedgerDamaged, LedgerNewer
from secondshift.ledger.schema import REVISIONS

FOLDER = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Build or upgrade the tables within the connection's transaction; the caller commits."""
    # Loading Alembic costs 0.4 s, as much as a whole `status`; only the first run and an upgrade need it.
    from alembic import command  # optional: needed to build tables, never to use them

    command.upgrade(config(connection=connection), "head")


def config(**attributes: Any) -> Any:  # Any: alembic.config.Config, which is loaded late
    """Return Alembic's configuration for this package's migrations."""
    from alembic.config import Config  # optional: as above

    settings = Config(attributes=attributes)
    settings.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def judge(revision: str | None, name: str) -> bool:
    """Say whether a ledger of this revision needs an upgrade.

    Raises LedgerNewer if a newer release wrote it, LedgerDamaged if no release did.
    """
    if revision == REVISIONS[-1]:
        return False
    if revision in REVISIONS:
        return True
    if revision is not None and revision.isdigit() and revision > REVISIONS[-1]:
        raise LedgerNewer(
            f"{name} has the tables of revision {revision}; this secondshift knows revisions up to {REVISIONS[-1]}. "
            "Upgrade secondshift, or use another study folder; nothing was changed."
        )
    raise LedgerDamaged(
        f"{name} says its tables are of revision {revision!r}; expected one of {', '.join(REVISIONS)}. It is "
        "damaged or not a ledger. Restore it from a copy, or move it away to begin anew; nothing was changed."
    )
