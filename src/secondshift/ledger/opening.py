"""From a folder or a URL to a ledger."""

from pathlib import Path

from secondshift.errors import ConfigInvalid
from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.ledger.stores import Ledger


def open_ledger(where: str | Path, *, readonly: bool = False) -> Ledger:
    """Open a ledger: a study's private folder (SQLite in `ledger.db`), or the URL "memory:".

    readonly: neither makes nor changes anything, as every command but the engine's opens it. Raises what
    SqliteLedger raises, and ConfigInvalid for a URL of a database that is not supported.
    """
    if isinstance(where, str):
        if where in ("memory:", "memory://"):
            return MemoryLedger()
        if "://" in where:
            scheme = where.partition("://")[0]
            raise ConfigInvalid(
                f"The ledger URL begins with {scheme}://. Expected a folder on a local disk, or memory: for a "
                "trial run. Other databases are not supported yet; without --ledger it lies beside the study."
            )
    return SqliteLedger(Path(where), readonly=readonly)
