"""The hot paths, as SQL that every database understands. One statement, one sentence on why it is as it is."""

from sqlalchemy import text

# The check of the fence and the beat are one statement in the writer's own transaction: no row, no right to write.
BEAT = text("update lease set beat = beat + 1 where id = 1 and token = :token and not released")

RELEASE = text("update lease set released = :released where id = 1 and token = :token")

LEASE = text("select token, host, pid, start_ticks, boot_id, beat, released, how from lease where id = 1")

# Compare and swap: a lease that has beaten since it was looked at keeps its holder.
SWAP_LEASE = text(
    "update lease set token = :token, host = :host, pid = :pid, start_ticks = :start_ticks, boot_id = :boot_id, "
    "beat = 0, released = :released, how = :how where id = 1 and token = :old_token and beat = :old_beat"
)

FIRST_LEASE = text(
    "insert into lease (id, token, host, pid, start_ticks, boot_id, beat, released, how) "
    "values (1, :token, :host, :pid, :start_ticks, :boot_id, 0, :released, :how)"
)

# Numbers are given out inside the one writer's transaction, so there are no gaps and no sequence objects.
LAST_SEQ = text("select coalesce(max(seq), 0) from events")

ADD_EVENT = text(
    "insert into events (seq, at, token, kind, version, subject, payload) "
    "values (:seq, :at, :token, :kind, :version, :subject, :payload)"
)

ADD_BATCH = text(
    "insert into batches (seq, trial, attempt, metric, n, first_step, last_step, body) "
    "values (:seq, :trial, :attempt, :metric, :n, :first_step, :last_step, :body)"
)

# One range of the index batches_by_curve; after a first reading, only what is new.
CURVE_SINCE = text(
    "select id, attempt, n, first_step, last_step, body from batches "
    "where trial = :trial and metric = :metric and id > :after order by id"
)

# All points in the order of writing, a page at a time, for whoever checks the whole record.
BATCHES_SINCE = text(
    "select id, trial, attempt, metric, n, first_step, last_step, body from batches where id > :after "
    "order by id limit :page"
)

# The same of one trial, for an engine that takes up a running one: its index names the trial first.
BATCHES_OF = text(
    "select id, trial, attempt, metric, n, first_step, last_step, body from batches "
    "where trial = :trial and id > :after order by id limit :page"
)

METRICS = text("select distinct metric from batches where trial = :trial")

# Where a digest may begin: the newest tick already says the chain of everything before it.
LAST_TICK = text("select coalesce(max(seq), 0) from events where kind = 'tick.decided'")
