"""The whole oracle over one copy of a store: what lies in it and in its archive, the ledger, and what was told."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.oracle.beside import double_keys, lost_files, overspent, torn_logs
from tests.oracle.history import check_history
from tests.oracle.ledger import Effect, Ledger
from tests.oracle.results import unsettled_letters, wrong_results
from tests.oracle.seen import Seen
from tests.oracle.told import Told
from tests.oracle.whereabouts import bring_together, left_files, traces
from windlass.engine.compiled import JobCache
from windlass.engine.engine import Engine
from windlass.ids import Uuid7Source
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.canonical import to_job
from windlass.settings import Settings
from windlass.store.check import check_now
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction


async def examine(
    path: Path,
    home: Path,
    told: Told,
    ledger: Ledger,
    *,
    seen: Seen,
    at_rest: bool = False,
    until: int | None = None,
    in_turn: bool = True,
) -> list[str]:
    """Return what is wrong with the store of which `path` is a copy that may be changed.

    `home` is where its files are; `until` says how many lines of the ledger it can know of, None for all; `in_turn`
    whether one transaction came after the other.
    """
    store = SqliteStore(str(path))
    settings = Settings(home=path.parent)
    engine = Engine(store=store, ids=Uuid7Source(), settings=settings, jobs=JobCache(to_job), catalog=StepCatalog())
    effects = ledger.read()
    try:
        found = list((await store.read(check_now)).problems)
        found += await store.read(lambda tx: traces(tx, told, home, at_rest=at_rest))
        torn, away = await bring_together(store, home)
        found += torn
        for look in (seen.look, torn_logs, double_keys, overspent):
            found += await store.read(look)
        found += await store.read(lost_files, home, away)
        found += await store.read(wrong_results, effects)
        found += await store.read(unsettled_letters, told)
        if at_rest:
            found += await store.read(lambda tx: list(left_files(tx, home, away)))
        accepted = [run_id for run_id in told.accepted if not told.may_be_gone(run_id)]
        counted = await store.read(_counted, effects[:until], told, seen)
        return found + await check_history(engine, accepted=accepted, effects=counted, at_rest=at_rest, in_turn=in_turn)
    finally:
        await store.close()


def _counted(tx: Transaction, effects: list[Effect], told: Told, seen: Seen) -> set[tuple[bytes, int, int]]:
    """Return which attempts must be in the history: all that were at work but for those of runs that may be gone."""
    there = {row[0] for row in tx.cursor.execute("SELECT id FROM runs")}
    missing = [one for one in effects if one.run_id not in there]
    excused = may_be_gone(missing, effects, told, seen)
    return {(one.run_id, one.task, one.attempt) for one in effects if one.run_id not in excused}


def may_be_gone(missing: Iterable[Effect], effects: Iterable[Effect], told: Told, seen: Seen) -> set[bytes]:
    """Return those of the runs with some effects of which nobody may count on them, or on a run that they are below.

    Who started a run is known by its row, if anybody saw it, and by what its steps said; what is not known of a run
    whose acceptance was not answered, its job, they say too.
    """
    parents = {one.run_id: one.parent for one in effects if one.parent is not None}
    found = set()
    for one in missing:
        above = [*seen.ancestors(one.run_id)]
        while (parent := parents.get(above[-1])) is not None:
            above += seen.ancestors(parent)
        if one.job in told.passing or any(told.may_be_gone(run_id) for run_id in above):
            found.add(one.run_id)
    return found
