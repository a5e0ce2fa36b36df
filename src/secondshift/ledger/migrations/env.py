"""What Alembic runs to bring a ledger's tables up to date, inside the transaction of whoever asked."""

from alembic import context

from secondshift.ledger.schema import METADATA, REVISION_TABLE

if context.is_offline_mode():
    # Only prints SQL: `dialect` is set by a test that reads what another database would be told.
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=METADATA,
        version_table=REVISION_TABLE,
        literal_binds=True,
    )
else:
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=REVISION_TABLE
    )
with context.begin_transaction():
    context.run_migrations()
