"""The tables, in words that every SQL database understands. Migrations build them; a test compares the two."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

REVISIONS = ("0001",)  # of migrations/versions, oldest first; kept here so that opening a ledger need not load Alembic
REVISION_TABLE = "schema_version"

METADATA = MetaData()
# SQLite gives only an INTEGER key its fast path; everyone else needs 64 bits said.
_KEY = BigInteger().with_variant(Integer, "sqlite")

EVENTS = Table(
    "events",
    METADATA,
    Column("seq", _KEY, primary_key=True, autoincrement=False),  # from 1, without gaps
    Column("at", Float(53), nullable=False),  # UTC seconds of the study clock
    Column("token", BigInteger, nullable=False),  # of the lease it was written under
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),  # of the list of kinds
    Column("subject", Text, nullable=False),  # trial, candidate, shift or policy it is about
    Column("payload", Text, nullable=False),  # JSON
    Index("events_by_kind", "kind", "seq"),
    Index("events_by_subject", "subject", "seq"),
)

BATCHES = Table(
    "batches",
    METADATA,
    Column("id", _KEY, primary_key=True, autoincrement=True),  # in the order of writing
    Column("seq", BigInteger, nullable=False),  # newest event of the transaction that brought it
    Column("trial", Text, nullable=False),
    Column("attempt", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("n", Integer, nullable=False),  # points
    Column("first_step", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # see batches.py
    Index("batches_by_curve", "trial", "metric", "id"),
)

LEASE = Table(
    "lease",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is one lease
    Column("token", BigInteger, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("start_ticks", BigInteger, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("how", Text, nullable=False),
)
