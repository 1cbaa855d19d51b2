"""Accepting runs in a transaction that the caller began: they are queued by his commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from windlass.engine.engine import Engine
from windlass.engine.submission import (
    Accepted,
    Prepared,
    Submission,
    accept,
    asked_at,
    expansion_of,
    require_startable,
)
from windlass.errors import Conflict, UserError
from windlass.model.fanout import Expansion
from windlass.store import jobs as stored_jobs
from windlass.store.transaction import Transaction


async def submit_within(
    engine: Engine, prepared: Prepared, submissions: Sequence[Submission], connection: object
) -> list[Accepted]:
    """Do the same as `submit_known` in the transaction of a caller's connection: the runs are queued by its commit.

    Raises UserError as well where a submission has to do with other runs, or where the connection is not one to the
    database of the store (`Store.run_within`).
    """
    if any(one.depends_on or one.parent_id is not None or one.kept or not one.cascade for one in submissions):
        raise UserError(
            "A run that has to do with other runs (depends_on, a parent) is not started within a transaction: "
            "start it once that is committed."
        )
    expanded = [expansion_of(engine, prepared.job, submission) for submission in submissions]
    return await engine.store.run_within(connection, _accept_within, engine, prepared, submissions, expanded)


# In a caller's own transaction: only new rows are inserted, and they come to light together. The job's row is kept from
# being removed, which hinders nothing else of it; whoever disables the job meanwhile does so after this was accepted.
def _accept_within(
    tx: Transaction,
    engine: Engine,
    prepared: Prepared,
    submissions: Sequence[Submission],
    expanded: Sequence[Expansion | None],
) -> list[Accepted]:
    if not stored_jobs.keep_job(tx, prepared.job.job_id):
        raise Conflict(
            f'Job "{prepared.job.alias}" was stored, or removed, after this transaction took its view of the database: '
            "begin it anew."
        )
    require_startable(tx, prepared.job, submissions)
    if prepared.job.job.concurrency is not None or engine.settings.max_runs is not None:
        # Nobody who counts places waits for a transaction that may last: these ask for theirs once it is committed, as
        # runs do whose time has come.
        submissions = [replace(one, scheduled_at=_after(tx, one), delay=None) for one in submissions]
    return accept(tx, engine, prepared, submissions, expanded)


def _after(tx: Transaction, submission: Submission) -> int:
    """Return when a run is due that must not begin at once: as early as it may, and later than now."""
    return max(asked_at(tx, submission) or 0, tx.now + 1)
