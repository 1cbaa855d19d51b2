"""Taking ready tasks for a worker: claimed, and started in the same transaction where nothing must be decided first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.engine.book import plain_layout
from windlass.engine.claim import Claim, StepResult
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.setting_aside import set_aside
from windlass.model.fanout import Expansion
from windlass.model.graph import TaskLayout
from windlass.store import hot_sqlite as hot
from windlass.store.rows import NewFact, Ready
from windlass.store.transaction import Transaction, is_trouble

_NO_VALUES: Mapping[str, Any] = {}


def take(
    tx: Transaction, engine: Engine, worker_id: int, worker: str, routes: Sequence[int], capacity: int
) -> list[Claim]:
    """Claim up to `capacity` tasks, lowest rank first, and start what needs no decision before its start."""
    rows = hot.ready(tx, routes, capacity)
    if not rows:
        return []
    claims: list[Claim] = []
    starting: list[Ready] = []
    held: list[Ready] = []
    for row, claim in _claims(tx, engine, rows):
        claims.append(claim)
        if claim.empty or claim.step.when is not None:
            held.append(row)
        else:
            claim.started_at = tx.now
            claim.first_started_at = claim.first_started_at or tx.now
            starting.append(row)
    if held:
        hot.claim(tx, worker_id, held)
    if starting:
        hot.claim_and_start(tx, worker_id, starting)
        _tell(tx, worker, starting)
    return claims


def _claims(tx: Transaction, engine: Engine, rows: Sequence[Ready]) -> list[tuple[Ready, Claim]]:
    """Read what the attempts of ready rows need; runs that cannot be read are set aside, the others come back."""
    found: list[tuple[Ready, Claim]] = []
    unreadable: set[bytes] = set()
    for row in rows:
        try:
            found.append((row, _claim(tx, engine, row)))
        except Exception as error:
            if is_trouble(error):
                raise
            unreadable.add(row.run_id)
            set_aside(tx, row.run_id, error, row.task)
    return [one for one in found if one[0].run_id not in unreadable]


def start(tx: Transaction, claim: Claim, worker: str) -> bool:
    """Start a claimed task; False where the claim no longer stands.

    Asked again, because the answer was lost, it says the same.
    """
    if not hot.start(tx, claim.queue_id, claim.fence):
        row = hot.held(tx, claim.queue_id)
        return row is not None and (row.fence, row.attempt, row.state) == (claim.fence, claim.attempt, "running")
    claim.started_at = tx.now
    claim.first_started_at = claim.first_started_at or tx.now
    flags = hot.run_flags(tx, claim.run_id)
    first = flags is not None and flags.state == "queued"
    if first:
        hot.runs_started(tx, [claim.run_id])
    types = "run.started,task.started" if first else "task.started"
    hot.insert_facts(tx, [NewFact(types, claim.run_id, claim.task, tx.now, _data(worker, claim.attempt))])
    return True


def _tell(tx: Transaction, worker: str, rows: Sequence[Ready]) -> None:
    """Note the first starts of runs, and write the facts of all starts."""
    first_runs: dict[bytes, None] = {}
    facts = []
    data = _data(worker, 1)
    for row in rows:
        types = "task.started"
        if row.run_state == "queued" and row.run_id not in first_runs:
            first_runs[row.run_id] = None
            types = "run.started,task.started"
        text = data if row.attempt == 0 else _data(worker, row.attempt + 1)
        facts.append(NewFact(types, row.run_id, row.task, tx.now, text))
    if first_runs:
        hot.runs_started(tx, first_runs)
    hot.insert_facts(tx, facts)


def _data(worker: str, attempt: int) -> str:
    return orjson.dumps({"attempt": attempt, "worker": worker}).decode()


def _claim(tx: Transaction, engine: Engine, row: Ready) -> Claim:
    job = compiled(tx, engine.jobs, row.revision_id)
    step, key, values, empty = row.task, "", _NO_VALUES, False
    expansion = None
    if row.expansion is not None:
        expansion = Expansion.from_json(orjson.loads(row.expansion))
        layout = expansion.layout()
        step = next(number for number in range(len(job.rules)) if row.task in layout.tasks(number))
        cells = expansion.cells[step]
        if cells is not None:
            empty = not cells
            if cells:
                cell = cells[row.task - layout.first[step]]
                key, values = cell.key, cell.values
    else:
        layout = plain_layout(len(job.rules))
    return Claim(
        queue_id=row.id,
        fence=row.fence + 1,
        run_id=row.run_id,
        task=row.task,
        attempt=row.attempt + 1,
        job=job,
        step_number=step,
        key=key,
        values=values,
        parameters=row.parameters,
        created_at=row.created_at,
        queued_at=row.queued_at,
        first_started_at=row.first_started_at,
        started_at=None,
        trigger=row.trigger,
        correlation_id=row.correlation_id,
        single=layout.size == 1,
        empty=empty,
        results=_results(tx, engine, row.run_id, job, step, layout, expansion),
    )


def _results(
    tx: Transaction,
    engine: Engine,
    run_id: bytes,
    job: CompiledJob,
    step: int,
    layout: TaskLayout,
    expansion: Expansion | None,
) -> Mapping[str, StepResult]:
    """Read the results of the steps that `step` may ask for."""
    found: dict[str, StepResult] = {}
    for other in job.reads(step, engine.catalog):
        cells = None if expansion is None else expansion.cells[other]
        results = {task: _result(tx, run_id, task) for task in layout.tasks(other)}
        if cells is None:
            single = results[layout.first[other]]
            if single is not None:
                found[job.graph.names[other]] = single
            continue
        items = {cell.key: result for cell, result in zip(cells, results.values(), strict=False) if result is not None}
        found[job.graph.names[other]] = StepResult(_joint_state(items), {}, None, items)
    return found


def _result(tx: Transaction, run_id: bytes, task: int) -> StepResult | None:
    row = hot.task_result(tx, run_id, task)
    if row is None:
        return None
    state, outputs, _, exit_code = row
    return StepResult(state, orjson.loads(outputs) if outputs else {}, exit_code)


def _joint_state(items: Mapping[str, StepResult]) -> str:
    """Return one state for a fanned-out step: the worst of its tasks'."""
    states = {item.state for item in items.values()}
    for state in ("failed", "timeout", "cancelled", "completed"):
        if state in states:
            return state
    return "skipped"
