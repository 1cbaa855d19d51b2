"""Alerts of runs that did not end when their jobs promise: each once, at its time, whatever was away meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import orjson

from windlass.engine.book import to_json
from windlass.engine.compiled import CompiledJob
from windlass.ids import id_text
from windlass.model.sla import first_due, judge, promises_of, zone_of
from windlass.store import slas
from windlass.store.hot import insert_facts
from windlass.store.rows import NewFact
from windlass.store.slas import Promised
from windlass.store.transaction import Transaction

_log = logging.getLogger(__name__)

#: Runs that one unit of work looks at.
BATCH: Final = 500


def promise(tx: Transaction, job: CompiledJob, begins: Iterable[tuple[bytes, int]]) -> None:
    """Note by when runs `(id, begin)` of a job with `sla` should end; `begin` is when each could begin."""
    sla, zone = job.job.sla or {}, zone_of(job.job.triggers)
    found = [(run_id, promises_of(sla, zone, begin)) for run_id, begin in begins]
    slas.promise(tx, [(run_id, to_json(one), first_due(one)) for run_id, one in found if one])


def raise_alerts(tx: Transaction) -> int | None:
    """Tell of every promise that is missed by now; return when to look again, None where nothing is promised."""
    for promised in slas.due(tx, BATCH):
        try:
            judgement = judge(orjson.loads(promised.sla), now=tx.now, finished_at=promised.finished_at)
        except (ValueError, TypeError, KeyError, AttributeError):
            _log.exception("What was promised of run %s cannot be read", id_text(promised.run_id))
            slas.set_aside(tx, promised)
            continue
        text = to_json(judgement.promises)
        if slas.settle(tx, promised, text, judgement.next_at, missed=bool(judgement.missed)):
            insert_facts(tx, [_told(tx, promised, name, judgement.promises[name]["due"]) for name in judgement.missed])
    return slas.next_due(tx)


def _told(tx: Transaction, promised: Promised, name: str, due: int) -> NewFact:
    return NewFact("run.sla_missed", promised.run_id, None, tx.now, to_json({"sla": name, "due": due}))
