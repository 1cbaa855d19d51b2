"""Taking ready tasks for a worker: claimed, and started in the same transaction where nothing must be decided first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from windlass.engine.claim import Claim, StepResult
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.fan import Fan
from windlass.engine.rating import note_starts
from windlass.engine.serving import Serving
from windlass.engine.setting_aside import set_aside
from windlass.engine.settling import Result
from windlass.model.state import joint_state
from windlass.model.step_cache import UNASKED
from windlass.store import hot, settled, workers
from windlass.store.rows import NewFact, Ready
from windlass.store.transaction import Transaction, beside_others, is_trouble, require_alone


@dataclass(frozen=True, slots=True)
class Read:
    """Results of tasks that serve several claims of one transaction."""

    #: Those that the transaction wrote itself.
    known: Mapping[tuple[bytes, int], Result]
    #: Those that were asked for together, by their run and their tasks.
    found: dict[tuple[bytes, tuple[int, ...]], dict[int, StepResult]] = field(default_factory=dict)

    def results(self, tx: Transaction, run_id: bytes, tasks: tuple[int, ...]) -> dict[int, StepResult]:
        """Return the results of tasks, by their numbers; of those that are not final nothing."""
        key = (run_id, tasks)
        if key not in self.found:
            here = [row for task in tasks if (row := self.known.get((run_id, task))) is not None]
            others = [task for task in tasks if (run_id, task) not in self.known]
            self.found[key] = _by_task([*here, *settled.results_among(tx, run_id, others)])
        return self.found[key]


_NO_VALUES: Mapping[str, Any] = {}
_NO_RESULTS: Mapping[str, StepResult] = {}


def take(
    tx: Transaction,
    engine: Engine,
    worker_id: int,
    worker: str,
    serving: Serving,
    capacity: int,
    known: Mapping[tuple[bytes, int], Result] | None = None,
) -> tuple[list[Claim], float | None]:
    """Claim up to `capacity` tasks, lowest rank first, and start what needs no decision before its start.

    `known` are results of tasks that this transaction wrote, by run and task. Return the claims, and the seconds after
    which there is more to take, where that is known.
    """
    rows, again = serving.ready(tx, engine, capacity, worker_id)
    if not rows:
        return [], again
    claims: list[Claim] = []
    starting: list[Ready] = []
    held: list[Ready] = []
    for row, claim in _claims(tx, engine, rows, known or {}):
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
        _begin(tx, worker_id, worker, starting)
        if serving.known.takes:
            require_alone(tx)
            note_starts(tx, engine, (claim for claim in claims if claim.started_at is not None))
    return claims, again


def claims_held(
    tx: Transaction, engine: Engine, worker_id: int, *, but: Collection[tuple[int, int]] = (), only: int | None = None
) -> list[Claim]:
    """Return the claims that a worker holds, as they were handed out: those of which it never heard it is given again.

    `but` are those that it knows, by queue row and fence; `only` is the one queue row that is asked about.
    """
    found = workers.held_claims(tx, worker_id, only)
    states = {row.id: (state, started_at) for row, state, started_at in found}
    rows = [row for row, _, _ in found if (row.id, row.fence + 1) not in but]
    claims = []
    for row, claim in _claims(tx, engine, rows, {}):
        state, started_at = states[row.id]
        claim.started_at = started_at if state == "running" else None
        claims.append(claim)
    return claims


def _claims(
    tx: Transaction, engine: Engine, rows: Sequence[Ready], known: Mapping[tuple[bytes, int], Result]
) -> list[tuple[Ready, Claim]]:
    """Read what the attempts of ready rows need; runs that cannot be read are set aside, the others come back."""
    found: list[tuple[Ready, Claim]] = []
    unreadable: set[bytes] = set()
    jobs: dict[int, CompiledJob] = {}
    read = Read(known)
    for row in rows:
        try:
            job = jobs.get(row.revision_id)
            if job is None:
                job = jobs[row.revision_id] = compiled(tx, engine.jobs, row.revision_id)
            found.append((row, _claim(tx, engine, row, job, read)))
        except Exception as error:  # whatever it is: the run fails with it, the others are handed out
            if is_trouble(error):
                raise
            unreadable.add(row.run_id)
            set_aside(tx, row.run_id, error, row.task)
    return [one for one in found if one[0].run_id not in unreadable]


# Beside others: the row is started where it is held under this fence, and the run where nobody was quicker; what takes
# of limited resources counts what others took, and is started alone.
@beside_others
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
        require_alone(tx)
        note_starts(tx, engine, [claim])
    flags = hot.run_flags(tx, claim.run_id)
    first = flags is not None and flags.state == "queued" and bool(hot.runs_started(tx, [claim.run_id]))
    types = "run.started,task.started" if first else "task.started"
    if claim.cache is not None and claim.cache["missed"] not in UNASKED:
        types = types.replace("task.started", "task.cache_missed,task.started")
    hot.insert_facts(tx, [NewFact(types, claim.run_id, claim.task, tx.now, _data(worker, claim.attempt, claim.cache))])
    return True


def _begin(tx: Transaction, worker_id: int, worker: str, rows: Sequence[Ready]) -> None:
    """Start rows, note the first starts of runs, and write the facts of all starts."""
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
    hot.begin(tx, worker_id, rows, first_runs, facts)


def _data(worker: str, attempt: int, cache: Mapping[str, Any] | None = None) -> str:
    data: dict[str, Any] = {"attempt": attempt, "worker": worker}
    return orjson.dumps(data if cache is None else {**data, "cache": cache}).decode()


def _claim(tx: Transaction, engine: Engine, row: Ready, job: CompiledJob, read: Read) -> Claim:
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
        results=_results(tx, engine, row.run_id, job, step, fan, read),
    )


def plain_claim(row: Ready, job: CompiledJob, started_at: int) -> Claim:
    """Return the claim of a task that began when it was taken, and that is all of a run without a matrix."""
    return Claim(
        row.id,
        row.fence + 1,
        row.run_id,
        row.task,
        row.attempt + 1,
        job,
        row.task,
        "",
        _NO_VALUES,
        row.parameters,
        row.created_at,
        row.queued_at,
        row.first_started_at or started_at,
        started_at,
        row.trigger,
        row.correlation_id,
        single=True,
        results=_NO_RESULTS,
    )


def _results(
    tx: Transaction, engine: Engine, run_id: bytes, job: CompiledJob, step: int, fan: Fan | None, read: Read
) -> Mapping[str, StepResult]:
    """Read the results of the steps before `step` and of those that its expressions name.

    Of fanned-out steps these are read only where they are named: nothing else of an attempt shows them. Those of steps
    of one task are read together, once for all claims that want the same.
    """
    before = job.graph.predecessors[step]
    if not before:
        return _NO_RESULTS
    found: dict[str, StepResult] = {}
    named = job.named(step, engine.catalog)
    others = sorted(named.union(before))
    first = {other: other if fan is None else fan.layout.first[other] for other in others}
    single = tuple(first[other] for other in others if fan is None or fan.cells[other] is None)
    results = read.results(tx, run_id, single)
    for other in others:
        cells = None if fan is None else fan.cells[other]
        if cells is None:
            if first[other] in results:
                found[job.graph.names[other]] = results[first[other]]
            continue
        if other not in named:
            continue
        each = _by_task(hot.task_results(tx, run_id, first[other], first[other] + len(cells) - 1))
        items = {cells[task - first[other]].key: result for task, result in each.items()}
        found[job.graph.names[other]] = StepResult(
            joint_state({item.state for item in items.values()}) or "skipped", {}, None, items
        )
    return found


def _by_task(rows: Iterable[Result]) -> dict[int, StepResult]:
    return {
        task: StepResult(state, orjson.loads(outputs) if outputs else {}, exit_code)
        for task, state, outputs, exit_code in rows
    }
