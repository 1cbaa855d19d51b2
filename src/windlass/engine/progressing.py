"""How far a running attempt is, kept with its run and told as an event."""

from __future__ import annotations

import math

from windlass.engine.book import to_json
from windlass.engine.claim import Claim
from windlass.model.storable import clean
from windlass.store import hot
from windlass.store.rows import NewFact
from windlass.store.runs import set_progress
from windlass.store.transaction import Transaction, beside_others


# Beside others: the queue row is locked before its claim is looked at, then the run's where this is its one task.
@beside_others
def note_progress(tx: Transaction, claim: Claim, percent: float | None, message: str | None) -> bool:
    """Keep a report of progress; False, and nothing changed, where the claim no longer stands."""
    row = hot.lock_held(tx, claim.queue_id)
    if row is None or row.fence != claim.fence or row.state != "running":
        return False
    if percent is not None:
        percent = min(max(percent, 0.0), 100.0) if math.isfinite(percent) else None
    said = {"percent": percent, "message": None if message is None else clean(message)}
    if claim.single:
        set_progress(tx, claim.run_id, to_json(said))
    types = "task.progress,run.progress" if claim.single else "task.progress"
    data = to_json(said | {"step": claim.step.name, "run": said})
    hot.insert_facts(tx, [NewFact(types, claim.run_id, claim.task, tx.now, data)])
    return True
