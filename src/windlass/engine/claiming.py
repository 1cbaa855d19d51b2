"""Taking ready tasks for a worker: claimed, and started in the same transaction where nothing must be decided first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.engine.claim import Claim, StepResult
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.fan import Fan
from windlass.engine.rating import note_starts
from windlass.engine.serving import Serving
from windlass.engine.setting_aside import set_aside
from windlass.model.state import joint_state
from windlass.model.step_cache import UNASKED
from windlass.store import hot_sqlite as hot
from windlass.store.rows import NewFact, Ready
from windlass.store.transaction import Transaction, is_trouble

_NO_VALUES: Mapping[str, Any] = {}
_NO_RESULTS: Mapping[str, StepResult] = {}


def take(
    tx: Transaction, engine: Engine, worker_id: int, worker: str, serving: Serving, capacity: int
) -> tuple[list[Claim], float | None]:
    """Claim up to `capacity` tasks, lowest rank first, and start what needs no decision before its start.

    Return the claims, and the seconds after which there is more to take, where that is known.
    """
    rows, again = serving.ready(tx, engine, capacity)
    if not rows:
        return [], again
    claims: list[Claim] = []
    starting: list[Ready] = []
    held: list[Ready] = []
    for row, claim in _claims(tx, engine, rows):
        claims.append(claim)
        if claim.empty or claim.step.when is not None or claim.step.cache is not None:
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
        if serving.known.takes:
            note_starts(tx, engine, (claim for claim in claims if claim.started_at is not None))
    return claims, again


def _claims(tx: Transaction, engine: Engine, rows: Sequence[Ready]) -> list[tuple[Ready, Claim]]:
    """Read what the attempts of ready rows need; runs that cannot be read are set aside, the others come back."""
    found: list[tuple[Ready, Claim]] = []
    unreadable: set[bytes] = set()
    jobs: dict[int, CompiledJob] = {}
    for row in rows:
        try:
            job = jobs.get(row.revision_id)
            if job is None:
                job = jobs[row.revision_id] = compiled(tx, engine.jobs, row.revision_id)
            found.append((row, _claim(tx, engine, row, job)))
        except Exception as error:  # whatever it is: the run fails with it, the others are handed out
            if is_trouble(error):
                raise
            unreadable.add(row.run_id)
            set_aside(tx, row.run_id, error, row.task)
    return [one for one in found if one[0].run_id not in unreadable]


def start(tx: Transaction, engine: Engine, claim: Claim, worker: str) -> bool:
    """Start a claimed task; False where the claim no longer stands.

    Asked again, because the answer was lost, it says the same.
    """
    if not hot.start(tx, claim.queue_id, claim.fence):
        row = hot.held(tx, claim.queue_id)
        return row is not None and (row.fence, row.attempt, row.state) == (claim.fence, claim.attempt, "running")
    claim.started_at = tx.now
    claim.first_started_at = claim.first_started_at or tx.now
    if claim.takes:
        note_starts(tx, engine, [claim])
    flags = hot.run_flags(tx, claim.run_id)
    first = flags is not None and flags.state == "queued"
    if first:
        hot.runs_started(tx, [claim.run_id])
    types = "run.started,task.started" if first else "task.started"
    if claim.cache is not None and claim.cache["missed"] not in UNASKED:
        types = types.replace("task.started", "task.cache_missed,task.started")
    hot.insert_facts(tx, [NewFact(types, claim.run_id, claim.task, tx.now, _data(worker, claim.attempt, claim.cache))])
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


def _data(worker: str, attempt: int, cache: Mapping[str, Any] | None = None) -> str:
    data: dict[str, Any] = {"attempt": attempt, "worker": worker}
    return orjson.dumps(data if cache is None else {**data, "cache": cache}).decode()


def _claim(tx: Transaction, engine: Engine, row: Ready, job: CompiledJob) -> Claim:
    fan = engine.fans.get(tx, row.run_id) if row.fanned else None
    step = row.task if fan is None else fan.step_number(row.task)
    cell = None if fan is None else fan.cell(row.task)
    return Claim(
        queue_id=row.id,
        fence=row.fence + 1,
        run_id=row.run_id,
        task=row.task,
        attempt=row.attempt + 1,
        job=job,
        step_number=step,
        key="" if cell is None else cell.key,
        values=_NO_VALUES if cell is None else cell.values,
        parameters=row.parameters,
        created_at=row.created_at,
        queued_at=row.queued_at,
        first_started_at=row.first_started_at,
        started_at=None,
        trigger=row.trigger,
        correlation_id=row.correlation_id,
        single=(len(job.rules) if fan is None else fan.layout.size) == 1,
        limited=job.job.concurrency is not None or engine.settings.max_runs is not None,
        empty=fan is not None and fan.cells[step] == (),
        results=_results(tx, engine, row.run_id, job, step, fan),
    )


def _results(
    tx: Transaction, engine: Engine, run_id: bytes, job: CompiledJob, step: int, fan: Fan | None
) -> Mapping[str, StepResult]:
    """Read the results of the steps before `step` and of those that its expressions name.

    Of fanned-out steps these are read only where they are named: nothing else of an attempt shows them.
    """
    before = job.graph.predecessors[step]
    if not before:
        return _NO_RESULTS
    found: dict[str, StepResult] = {}
    named = job.named(step, engine.catalog)
    for other in sorted(named.union(before)):
        cells = None if fan is None else fan.cells[other]
        if cells is not None and other not in named:
            continue
        first = other if fan is None else fan.layout.first[other]
        if cells is None:
            single = _read(tx, run_id, first, first)
            if single:
                found[job.graph.names[other]] = single[first]
            continue
        results = _read(tx, run_id, first, first + len(cells) - 1)
        items = {cells[task - first].key: result for task, result in results.items()}
        found[job.graph.names[other]] = StepResult(
            joint_state({item.state for item in items.values()}) or "skipped", {}, None, items
        )
    return found


def _read(tx: Transaction, run_id: bytes, first: int, last: int) -> dict[int, StepResult]:
    return {
        task: StepResult(state, orjson.loads(outputs) if outputs else {}, exit_code)
        for task, state, outputs, exit_code in hot.task_results(tx, run_id, first, last)
    }
