"""The oracle: reads a whole store and names everything that should not be."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tests.oracle.conservation import crowded, forgotten, losses, overfull
from tests.oracle.moves import illegal_moves
from tests.oracle.results import wrong_alerts
from tests.oracle.snapshot import Snapshot, take_snapshot
from tests.oracle.starts import wrong_starts
from windlass.engine.engine import Engine
from windlass.ids import id_text
from windlass.model.state import RUN_FINAL


async def check_history(
    engine: Engine,
    *,
    accepted: Iterable[bytes] = (),
    effects: Collection[tuple[bytes, int, int]] = (),
    at_rest: bool = False,
    in_turn: bool | None = None,
) -> list[str]:
    """Return one sentence for each thing that is wrong with the history of a store; none if all is well.

    `accepted` are the runs that were answered for, `effects` the attempts `(run, task, number)` that were seen at work.
    `at_rest` says that everything had the time to end, `in_turn` that one transaction came after the other; None: as
    the store that is read has them.
    """
    snapshot = await engine.store.read(take_snapshot, engine)
    in_turn = engine.store.kind != "postgresql" if in_turn is None else in_turn
    return problems(snapshot, accepted=accepted, effects=effects, at_rest=at_rest, in_turn=in_turn)


def problems(
    snapshot: Snapshot,
    *,
    accepted: Iterable[bytes] = (),
    effects: Collection[tuple[bytes, int, int]] = (),
    at_rest: bool = False,
    in_turn: bool = True,
) -> list[str]:
    """Return what is wrong with a history that was read; see `check_history`."""
    found = [f"O1 run {id_text(run_id)} was accepted and is gone" for run_id in accepted if run_id not in snapshot.runs]
    for run in snapshot.runs.values():
        broken = list(losses(run))
        found += broken
        if not broken:
            found += [*forgotten(run, snapshot), *illegal_moves(run, in_turn=in_turn), *wrong_starts(run)]
        if at_rest and run.row.state not in RUN_FINAL:
            found.append(f"O1 {run.name} is still {run.row.state}")
    found += [*crowded(snapshot), *overfull(snapshot), *wrong_alerts(snapshot, at_rest=at_rest)]
    found += _ghosts(snapshot, effects)
    return found


def _ghosts(snapshot: Snapshot, effects: Collection[tuple[bytes, int, int]]) -> list[str]:
    recorded = {
        (run_id, task, one.number)
        for run_id, run in snapshot.runs.items()
        for task, started in run.attempts.items()
        for one in started
    }
    return [
        f"O2 run {id_text(run_id)}, task {task}: attempt {number} was at work and is in no history"
        for run_id, task, number in sorted(set(effects) - recorded)
    ]
