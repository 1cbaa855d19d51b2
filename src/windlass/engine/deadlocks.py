"""Runs that would wait for ever: for a place that only runs have which wait for them."""

from __future__ import annotations

from typing import Final

from windlass.engine.admission import limit_now
from windlass.engine.engine import Engine
from windlass.model.concurrency import ONE_TOO_MANY, WAITS, waits_for_ever
from windlass.store import project_limits, run_limits
from windlass.store.transaction import Transaction

#: Runs that are looked at; those behind them count as ones that will end.
_MOST: Final = 500


def never_enters(tx: Transaction, engine: Engine, run_id: bytes) -> bool:
    """Say whether a run waits for a place that cannot become free before the run itself has ended."""
    groups: dict[bytes, list[list[bytes]]] = {}
    ahead = [run_id]
    while ahead and len(groups) < _MOST:
        one = ahead.pop()
        if one not in groups:
            groups[one] = _waits_for(tx, engine, one)
            ahead.extend(other for group in groups[one] for other in group)
    return waits_for_ever(run_id, groups)


def _waits_for(tx: Transaction, engine: Engine, run_id: bytes) -> list[list[bytes]]:
    """Return what a run waits for: of each group of runs, one must end."""
    row = run_limits.standing(tx, run_id)
    if row is None:
        return []
    if row.state != "waiting":
        return [[child] for child in run_limits.awaited_children(tx, run_id)]
    most, holders = None, list[bytes]()
    if row.reason == WAITS and row.limit_key is not None:
        most = limit_now(tx, engine, row.job_id, row.revision_id)
        holders = run_limits.holders(tx, row.limit_key, most or 0)
    elif row.reason == ONE_TOO_MANY:
        most = engine.settings.max_runs
        holders = project_limits.who_goes_on(tx, row.project, most or 0)
    return [holders] if most is not None and len(holders) >= most else []
