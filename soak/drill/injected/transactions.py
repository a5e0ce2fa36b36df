"""The ledger's transactions as write points: an append of facts, and the taking of a lease."""

import sqlite3

import crashing

_SIGNS = (("insert into events", "ledger append"), ("update lease set token", "lease"), ("insert into lease", "lease"))


class Cursor(sqlite3.Cursor):
    """Notices what a transaction is about."""

    def execute(self, sql, *parameters):
        """Run a statement, or end before or after it."""
        self._begun(sql)
        answer = super().execute(sql, *parameters)
        self._told(sql)
        return answer

    def executemany(self, sql, *parameters):
        """Run a statement many times, or end after it."""
        answer = super().executemany(sql, *parameters)
        self._told(sql)
        return answer

    def _begun(self, sql: str) -> None:
        if sql.lower().startswith("begin"):
            self.connection.about = ""
            for point in ("ledger append", "lease"):
                if crashing.armed(point, "before"):
                    crashing.die(point, "before")

    def _told(self, sql: str) -> None:
        for sign, point in _SIGNS:
            if sql.lower().startswith(sign):
                self.connection.about = point
                if crashing.armed(point, "torn"):
                    crashing.die(point, "torn")


class Connection(sqlite3.Connection):
    """Ends before or after a commit that it was told to."""

    about = ""

    def cursor(self, factory=Cursor):
        """A cursor that notices."""
        return super().cursor(factory)

    def commit(self) -> None:
        """Commit, or end before or after it."""
        point = self.about
        if point and crashing.armed(point, "whole"):
            crashing.die(point, "whole")
        super().commit()
        if point and crashing.armed(point, "after"):
            crashing.die(point, "after")
        self.about = ""


def arm() -> None:
    """Let every connection that is opened from now on be ours."""
    original = sqlite3.connect

    def connect(*arguments, **named):
        if "ledger.db" in str(arguments[0]):  # not the databases of the probe
            named.setdefault("factory", Connection)
        return original(*arguments, **named)

    sqlite3.connect = connect
