"""What the end of a run means for others: for those that wait for it, whoever they are."""

from __future__ import annotations

from functools import partial
from typing import Final

from windlass.engine.child_ends import settle_parent
from windlass.engine.dependencies import settle_dependents
from windlass.engine.engine import Engine
from windlass.engine.setting_aside import set_aside
from windlass.store import relations
from windlass.store.transaction import Transaction, apart

#: Runs that have ended looked at in one unit of work.
_MOST: Final = 100


def settle_awaited(tx: Transaction, engine: Engine, limit: int) -> bool:
    """Do what waits for runs that have ended, about `limit` things; return whether there is more to do.

    The rows say who waits, so that a crash between the end of the one and the start of the other loses nothing.
    """
    done = 0
    while done < limit and (ended := relations.ended_awaited(tx, _MOST)):
        for run in ended:
            if run.parent_task is not None:
                failure = apart(tx, partial(settle_parent, tx, engine, run))
                if failure is not None and run.parent_id is not None:
                    set_aside(tx, run.parent_id, failure, run.parent_task)
            done += 1 + settle_dependents(tx, engine, run, limit - done)
            if done > limit:
                break
            relations.await_no_more(tx, run.id)
    return done >= limit


def any_awaited(tx: Transaction) -> bool:
    """Say whether something waits for a run that has ended."""
    return bool(relations.ended_awaited(tx, 1))
