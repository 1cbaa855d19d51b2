"""Every table, constraint and index, once for both databases.

Times are whole microseconds since the epoch, UTC. Ids are 16-byte UUIDv7. JSON is text made by the code that writes it,
so that hot statements and Core read and write the same bytes.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

from windlass.model.state import RUN_FINAL, RUN_MOVES, TASK_FINAL, TASK_MOVES
from windlass.store import archive_tables as _archive_tables  # noqa: F401 - tables of the same schema
from windlass.store import audit_tables as _audit_tables  # noqa: F401 - the same
from windlass.store import cache_tables as _cache_tables  # noqa: F401 - tables of the same schema
from windlass.store import file_tables as _file_tables  # noqa: F401 - the same
from windlass.store import limit_tables as _limit_tables  # noqa: F401 - the same
from windlass.store import programs as _programs  # noqa: F401 - the same
from windlass.store import remote_tables as _remote_tables  # noqa: F401 - the same
from windlass.store import sealed_tables as _sealed_tables  # noqa: F401 - the same
from windlass.store.columns import Id, Json, Serial, Text, Time, every_table, of_run, on_postgresql, partitioned
from windlass.store.columns import one_of as _one_of
from windlass.store.columns import partial as _partial

#: All tables, those that are declared elsewhere included.
metadata = every_table

#: How the few runs end that somebody looks for among all the others.
ENDED_BADLY: Final = "state = 'cancelled' OR state = 'failed' OR state = 'timeout'"
#: Runs that take, or wait for, a place under a limit.
LIMITED: Final = "limit_key IS NOT NULL AND finished_at IS NULL"
#: Runs that wait because as many of their project go on as may.
ONE_TOO_MANY: Final = "state = 'waiting' AND reason = 'max_runs'"
#: Tasks that are dead letters: they failed for good, and nobody has queued them again.
DEAD: Final = (
    "allowed = 0 AND requeued_as IS NULL AND (state = 'failed' OR state = 'timeout') "
    "AND coalesce(reason, '') <> 'run_deadline'"
)
_TASK_LIVE = set(TASK_MOVES) - TASK_FINAL

store_info = Table(
    "store_info",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about this store: its id, when it was made."""

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("project", Text, nullable=False),
    Column("alias", Text, nullable=False),
    #: Number of the newest revision.
    Column("revision", Integer, nullable=False),
    Column("enabled", SmallInteger, nullable=False, server_default=text("1")),
    #: 0 where the job was made by `exec`: it is found by its runs, never listed.
    Column("listed", SmallInteger, nullable=False, server_default=text("1")),
    Column("labels", Json, nullable=False),
    #: Where it came from: `{source, repo, ref, commit, path}`; null when applied by hand.
    Column("provenance", Json),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("deleted_at", Time),
    Index("ix_jobs_project_alias", "project", "alias"),
    _partial("uq_jobs_live_alias", "project", "alias", where="deleted_at IS NULL AND listed = 1", unique=True),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("job_id", Id, ForeignKey("jobs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", Text, nullable=False),
    #: The normalised manifest as canonical JSON.
    Column("content", Json, nullable=False),
    Column("provenance", Json),
    Column("author", Text),
    Column("message", Text),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("job_id", "number"),
    sqlite_autoincrement=True,  # a number that was given out stands in runs and caches: never again
)

job_tags = Table(
    "job_tags",
    metadata,
    Column("job_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    #: Number of the revision that it names.
    Column("number", Integer, nullable=False),
    Column("author", Text),
    Column("created_at", Time, nullable=False),
    PrimaryKeyConstraint("job_id", "name"),
    sqlite_with_rowid=False,
)
"""Names that people gave to revisions of a job."""

routes = Table(
    "routes",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("pool", Text, nullable=False),
    #: Canonical JSON of the labels that a worker must have.
    Column("labels", Json, nullable=False),
    #: Canonical JSON of the limited resources that each start takes of (`model.rates`); empty where it takes none.
    Column("rate", Json, nullable=False, server_default=text("''")),
    UniqueConstraint("queue", "pool", "labels", "rate"),
)
"""Each distinct way to a worker: what a queue row points at instead of carrying four columns."""

runs = Table(
    "runs",
    metadata,
    Column("id", Id, nullable=False),
    *of_run(),
    Column("reason", Text),
    Column("priority", SmallInteger, nullable=False),
    Column("queue", Text, nullable=False),
    Column("parameters", Json, nullable=False),
    Column("labels", Json),
    Column("note", Text),
    Column("trigger", Json),
    Column("parent_id", Id),
    Column("root_id", Id),
    Column("plan_checksum", Text),
    Column("correlation_id", Text),
    Column("idempotency_key", Text),
    Column("scheduled_at", Time),
    Column("created_at", Time, nullable=False),
    Column("queued_at", Time),
    Column("started_at", Time),
    Column("finished_at", Time),
    #: When it is stopped if it has not ended; once it is stopping, until when its clean-up may go on.
    Column("deadline", Time, nullable=False),
    #: From when its time is counted, where that is neither its acceptance nor its not-before time.
    Column("counted_at", Time),
    #: What its deadline was before it was stopped: when its own time is, or was, up.
    Column("up_at", Time),
    Column("cancel_requested_at", Time),
    #: 0 not asked; 1 asked; 2 asked again: clean-up is stopped too.
    Column("cancels", SmallInteger, nullable=False, server_default=text("0")),
    #: 1 once the run's own deadline passed.
    Column("expired", SmallInteger, nullable=False, server_default=text("0")),
    Column("waiting_for", Json),
    Column("progress", Json),
    #: Tasks by state once the run is final; counted live before that.
    Column("counts", Json),
    Column("allowed_failures", Integer, nullable=False, server_default=text("0")),
    Column("error", Json),
    Column("outputs", Json),
    #: The tasks of a fanned-out run, `[[step, key, values], ...]` in order of their index; null: one task a step.
    Column("expansion", Json),
    #: 1 while somebody waits for its end: other runs, or a step of its parent.
    Column("awaited", SmallInteger, nullable=False, server_default=text("0")),
    #: The task of its parent that waits for it.
    Column("parent_task", Integer),
    #: 0 where it goes on when its parent is stopped.
    Column("cascades", SmallInteger, nullable=False, server_default=text("1")),
    #: 1 once it is to be deleted as soon as it is final.
    Column("deleting", SmallInteger, nullable=False, server_default=text("0")),
    #: When it came back from the archive.
    Column("restored_at", Time),
    #: What the run is counted under by its job's `concurrency`, and its place among those that wait for that.
    Column("limit_key", Text),
    Column("limit_rank", BigInteger),
    #: When it should have ended by its job's `sla`, and what of that was missed (`model.sla`); the next such time that
    #: somebody must look at; 1 once one was missed.
    Column("sla", Json),
    Column("sla_at", Time),
    Column("sla_missed", SmallInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("id"),
    CheckConstraint(_one_of("state", set(RUN_MOVES)), name="state"),
    CheckConstraint(f"{_one_of('state', RUN_FINAL)} = (finished_at IS NOT NULL)", name="finished"),
    Index("ix_runs_job", "job_id", "id"),
    Index("ix_runs_state", "project", "state", "id"),
    _partial("ix_runs_deadline", "deadline", where="finished_at IS NULL"),
    _partial("ix_runs_parent", "parent_id", "id", where="parent_id IS NOT NULL"),
    _partial("ix_runs_ended_badly", "job_id", "state", "id", where=ENDED_BADLY),
    _partial("ix_runs_awaited", "id", where="awaited = 1 AND finished_at IS NOT NULL"),
    _partial("ix_runs_deleting", "id", where="deleting = 1"),
    _partial("ix_runs_limit", "limit_key", "state", "limit_rank", "id", where=LIMITED),
    _partial("ix_runs_sla", "sla_at", where="sla_at IS NOT NULL"),
    _partial("ix_runs_sla_missed", "id", where="sla_missed = 1"),
    _partial("ix_runs_one_too_many", "project", "limit_rank", "id", where=ONE_TOO_MANY),
    sqlite_with_rowid=False,
)

run_labels = Table(
    "run_labels",
    metadata,
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("run_id", Id, nullable=False),
    PrimaryKeyConstraint("name", "value", "run_id"),
    sqlite_with_rowid=False,
)
"""The labels of runs once more, for lists: only runs that have labels cost anything."""

run_dependencies = Table(
    "run_dependencies",
    metadata,
    Column("run_id", Id, nullable=False),
    #: The run that it waits for.
    Column("on_id", Id, nullable=False),
    Column("condition", Text, nullable=False),
    #: 1 once the end of the other run was taken note of.
    Column("settled", SmallInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("run_id", "on_id"),
    CheckConstraint(_one_of("condition", {"success", "always", "failure"}), name="condition"),
    _partial("ix_run_dependencies_open", "on_id", "run_id", where="settled = 0"),
    sqlite_with_rowid=False,
)
"""Which run waits for the end of which: only runs that wait cost anything."""

queue = Table(
    "queue",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("run_id", Id, nullable=False),
    #: Index of the task in its run; tasks of one step stand side by side.
    Column("task", Integer, nullable=False),
    Column("revision_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("route_id", BigInteger, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    #: Not before: the later of acceptance and the asked time; of a retry, its time.
    Column("due", Time, nullable=False),
    #: Order among ready rows: due less the weight of the priority.
    Column("rank", BigInteger, nullable=False),
    #: When somebody must look at a row that is scheduled or waiting.
    Column("wake_at", Time),
    #: Predecessor steps that are not final.
    Column("outstanding", Integer, nullable=False, server_default=text("0")),
    #: Starts so far, lost ones included.
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    #: Lost attempts so far, and those of them in a row.
    Column("losses", SmallInteger, nullable=False, server_default=text("0")),
    Column("losses_in_row", SmallInteger, nullable=False, server_default=text("0")),
    #: Grows with each claim; whoever holds an older number changes nothing.
    Column("fence", Integer, nullable=False, server_default=text("0")),
    #: Who holds it: claimed while queued, running while running.
    Column("worker_id", BigInteger),
    Column("queued_at", Time),
    #: Start of the first attempt, and of this one.
    Column("first_started_at", Time),
    Column("started_at", Time),
    #: Why the running attempt must stop: `cancel`, `timeout`, `fail_fast`.
    Column("stop", Text),
    Column("reason", Text),
    #: What a waiting row becomes, and other facts of its state.
    Column("detail", Json),
    UniqueConstraint("run_id", "task"),
    CheckConstraint(_one_of("state", _TASK_LIVE), name="state"),
    CheckConstraint("state <> 'running' OR (worker_id IS NOT NULL AND started_at IS NOT NULL)", name="running"),
    CheckConstraint("state NOT IN ('scheduled', 'waiting') OR wake_at IS NOT NULL", name="wake"),
    _partial("ix_queue_ready", "route_id", "rank", "id", where="state = 'queued' AND worker_id IS NULL"),
    _partial("ix_queue_wake", "wake_at", where="wake_at IS NOT NULL"),
    _partial("ix_queue_held", "worker_id", where="worker_id IS NOT NULL"),
    _partial("ix_queue_stop", "worker_id", where="stop IS NOT NULL"),
    sqlite_autoincrement=True,  # a number that was given out stands in cursors and claims: never again
)
"""One row for every task that is not final, and none for others: small and hot."""

_ATTEMPT = (
    ("worker", Text),
    ("exit_code", Integer),
    ("error", Json),
    ("started_at", Time),
    ("finished_at", Time),
    ("cpu_micros", BigInteger),
    ("max_rss_bytes", BigInteger),
    ("bytes_out", BigInteger),
    ("log_bytes", BigInteger),
)

tasks = Table(
    "tasks",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("task", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    #: Number of the last attempt; 0 where none was started.
    Column("attempt", Integer, nullable=False),
    #: How the last attempt ended; null where none was started.
    Column("outcome", Text),
    #: 1 where the failure is allowed and counts as completed in joins.
    Column("allowed", SmallInteger, nullable=False, server_default=text("0")),
    Column("outputs", Json),
    #: Names that a branch chose.
    Column("branches", Json),
    Column("queued_at", Time),
    Column("first_started_at", Time),
    #: When the task became final: the attempt's own end may be earlier.
    Column("ended_at", Time, nullable=False),
    *(Column(name, kind) for name, kind in _ATTEMPT),
    #: The run whose result this is, where it was taken over instead of being worked for.
    Column("kept_from", Id),
    #: The run that it was queued again as, of a task that failed for good.
    Column("requeued_as", Id),
    PrimaryKeyConstraint("run_id", "task"),
    CheckConstraint(_one_of("state", TASK_FINAL), name="state"),
    _partial("ix_tasks_dead", "run_id", "task", where=DEAD),
    sqlite_with_rowid=False,
    info=partitioned("run_id"),
)
"""Final tasks, each with its last attempt: the common task has one attempt and so one row."""

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("task", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    *(Column(name, kind) for name, kind in _ATTEMPT),
    PrimaryKeyConstraint("run_id", "task", "number"),
    sqlite_with_rowid=False,
    info=partitioned("run_id"),
)
"""Attempts that were followed by another one, or whose task is not final."""

events = Table(
    "events",
    metadata,
    Column("seq", Serial, primary_key=True),
    #: Names of the events that this row stands for, in order, with commas between.
    Column("types", Text, nullable=False),
    Column("run_id", Id),
    Column("task", Integer),
    Column("at", Time, nullable=False),
    Column("data", Json),
    #: On PostgreSQL the transaction that wrote it, by which readers tell what they have not seen; null elsewhere, and
    #: where the row was there before, or came from an archive.
    Column("writer", BigInteger, info=on_postgresql("CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)")),
    Index("ix_events_run", "run_id", "seq"),
    _partial("ix_events_writer", "writer", where="writer IS NOT NULL"),
    sqlite_autoincrement=True,  # a number that was given out stands in cursors and claims: never again
)
"""What happened, written with the change itself; one row may stand for several events (`model.event`)."""

event_waits = Table(
    "event_waits",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("task", Integer, nullable=False),
    #: The claim that began the wait: rows of an earlier attempt mean nothing.
    Column("fence", Integer, nullable=False),
    Column("project", Text, nullable=False),
    #: The events up to this `seq` are none that end it.
    Column("after", BigInteger, nullable=False),
    Column("until", Time, nullable=False),
    #: `{type, source, filter}` as the step says it.
    Column("pattern", Json, nullable=False),
    PrimaryKeyConstraint("run_id", "task"),
    sqlite_with_rowid=False,
)
"""Tasks that wait for an event: only those cost anything."""

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("task", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Time, nullable=False),
    Column("stream", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("run_id", "task", "attempt", "seq"),
    info=partitioned("run_id"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run_id", Id, nullable=False),
    Column("task", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    #: Where the bytes are, relative to the artifact folder.
    Column("path", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    #: The home in which they lie, where those that share the store have no folder for files in common; and the attempt
    #: of which that is true: programs of a schema before 0024 keep a file anew without saying where.
    Column("home", Text),
    Column("home_attempt", Integer),
    PrimaryKeyConstraint("run_id", "task", "name"),
    _partial("ix_artifacts_home", "home", where="home IS NOT NULL"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("pool", Text, nullable=False),
    #: Canonical JSON of its labels; of the queues it serves, `["*"]` for all.
    Column("labels", Json, nullable=False),
    Column("queues", Json, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Time, nullable=False),
    #: Stamped by the database: the lease of all its claims hangs on it.
    Column("heartbeat_at", Time, nullable=False),
    #: 1 where somebody told it to take no more, 2 where it was asked to end: see `model.worker_state`.
    Column("draining", SmallInteger, nullable=False, server_default=text("0")),
    #: Set once it said good-bye or was found gone; its claims are settled then.
    Column("ended_at", Time),
    _partial("ix_workers_live", "heartbeat_at", where="ended_at IS NULL"),
    sqlite_autoincrement=True,  # a number that was given out stands in cursors and claims: never again
)

duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),
    #: The process that has it, and since when without a break.
    Column("holder", Text, nullable=False),
    Column("since", Time, nullable=False),
    #: Stamped by the database: from then on anybody may take it.
    Column("until", Time, nullable=False),
)
"""Which process does what only one should, of all that share the store; a duty that nobody has has no row."""

run_hours = Table(
    "run_hours",
    metadata,
    Column("project", Text, nullable=False),
    #: Hours since the epoch: the one in which the runs ended.
    Column("hour", Integer, nullable=False),
    #: Sixteen zeros are all jobs together.
    Column("job_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("runs", BigInteger, nullable=False),
    #: Starts of all their tasks.
    Column("attempts", BigInteger, nullable=False),
    #: How long they took, and how long they waited for their start, as `model.histogram` writes it.
    Column("durations", Json, nullable=False),
    Column("waits", Json, nullable=False),
    PrimaryKeyConstraint("project", "hour", "job_id", "state"),
    Index("ix_run_hours_job", "job_id", "hour"),
    sqlite_with_rowid=False,
)
"""Ended runs in figures, by the hour: added up from the events, beside the way of a run."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("project", Text, nullable=False),
    Column("key", Text, nullable=False),
    #: Hash of what was asked under the key.
    Column("digest", Text, nullable=False),
    Column("run_id", Id, nullable=False),
    Column("expires_at", Time, nullable=False),
    PrimaryKeyConstraint("project", "key"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)
