"""Both stores of the house pass the suite that a third party's store passes."""

from pathlib import Path

from secondshift.ledger.memory import MemoryLedger
from secondshift.ledger.sqlite import SqliteLedger
from secondshift.ledger.stores import Ledger
from secondshift.testing.ledger_conformance import LedgerConformance


class TestMemoryLedger(LedgerConformance):
    def make(self, folder: Path) -> Ledger:
        return MemoryLedger()


class TestSqliteLedger(LedgerConformance):
    def make(self, folder: Path) -> Ledger:
        return SqliteLedger(folder)

    def reopen(self, ledger: Ledger, folder: Path) -> Ledger | None:
        ledger.close()
        return SqliteLedger(folder)
