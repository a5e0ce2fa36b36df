"""The first tables: events, batches, lease, and a view of the curves for people who write SQL."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Build the tables."""
    op.create_table(
        "events",
        sa.Column("seq", _KEY, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
    )
    op.create_index("events_by_kind", "events", ["kind", "seq"])
    op.create_index("events_by_subject", "events", ["subject", "seq"])
    op.create_table(
        "batches",
        sa.Column("id", _KEY, primary_key=True, autoincrement=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("trial", sa.Text, nullable=False),
        sa.Column("attempt", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("first_step", sa.BigInteger, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("batches_by_curve", "batches", ["trial", "metric", "id"])
    op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("start_ticks", sa.BigInteger, nullable=False),
        sa.Column("boot_id", sa.Text, nullable=False),
        sa.Column("beat", sa.BigInteger, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("how", sa.Text, nullable=False),
    )
    op.execute(
        "create view curves as select trial, metric, count(distinct attempt) as attempts, sum(n) as points, "
        "min(first_step) as first_step, max(last_step) as last_step from batches group by trial, metric"
    )


def downgrade() -> None:
    """Refuse: facts are never dropped."""
    raise NotImplementedError(
        "A ledger is never downgraded: that would drop facts. Go back to a copy made before the upgrade."
    )
