"""Runs as people and programs read them: found by id or its beginning, listed, with tasks, attempts and graph."""

from __future__ import annotations

from typing import Any

from windlass.engine.admission import place_in_line, place_in_project
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.engine import Engine
from windlass.engine.readable import readable
from windlass.engine.shapes import Places, artifact_shape, attempt_shape, run_shape, task_shape
from windlass.errors import NotFound, UserError
from windlass.ids import id_text, parse_id
from windlass.model.concurrency import ONE_TOO_MANY, WAITS
from windlass.model.printable import printable
from windlass.model.state import RUN_FINAL
from windlass.store import runs as stored
from windlass.store.archive import catalogue
from windlass.store.artifacts import artifacts_of
from windlass.store.relations import open_dependencies
from windlass.store.runs import RunFilter
from windlass.store.tasks import FIRST, attempts_of, tasks_of
from windlass.store.transaction import Transaction

#: Shortest beginning of an id that stands for the whole.
MIN_PREFIX = 6


async def find_run(engine: Engine, reference: str, *, archived: bool = False) -> bytes:
    """Return the id of a run by its text or an unambiguous beginning of it; with `archived` of one that is there, too.

    Raises NotFound where there is none, UserError where several begin so.
    """
    return await engine.store.read(named_run, reference, archived=archived)


def named_run(tx: Transaction, reference: str, *, archived: bool = False) -> bytes:
    """Return the id of a run within a unit of work; see `find_run`."""
    low, high = id_range(reference)
    found = stored.between(tx, low, high)
    if archived:
        found = sorted({*found, *catalogue.matching(tx, low, high)})
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"Several runs begin with {reference}; give more of the id.")
    if catalogue.matching(tx, low, high):
        raise NotFound(f"Run {reference} is in the archive; `windlass archive restore {reference}` brings it back.")
    if low == high:
        raise NotFound(f"There is no run {reference}.")
    raise NotFound(f"There is no run whose id begins with {reference}; `windlass run list` lists the newest.")


def id_range(reference: str) -> tuple[bytes, bytes]:
    """Return the first and the last id that a text may mean: an id, or its beginning.

    Raises NotFound where it is neither.
    """
    whole = parse_id(reference) if len(reference) >= 32 else None  # noqa: PLR2004 - digits of an id
    if whole is not None:
        return whole, whole
    prefix = reference.replace("-", "").lower()
    if len(prefix) < MIN_PREFIX or len(prefix) > 32 or set(prefix) - set("0123456789abcdef"):  # noqa: PLR2004
        raise NotFound(
            f'There is no run "{printable(reference)}"; give its id, or at least {MIN_PREFIX} digits of its beginning.'
        )
    return bytes.fromhex(prefix.ljust(32, "0")), bytes.fromhex(prefix.ljust(32, "f"))


async def get_run(engine: Engine, run_id: bytes) -> dict[str, Any]:
    """Return a run. Raises NotFound where there is none."""
    return await engine.store.read(read_run, engine, run_id)


def read_run(tx: Transaction, engine: Engine, run_id: bytes) -> dict[str, Any]:
    """Return a run within a unit of work; see `get_run`."""
    return _shape(tx, engine, _row(tx, run_id))


def _shape(tx: Transaction, engine: Engine, row: Any) -> dict[str, Any]:
    counts = None if row.state in RUN_FINAL else stored.live_counts(tx, row.id)
    awaits = open_dependencies(tx, row.id) if row.state == "waiting" else ()
    job = readable(f"Revision {row.revision_id}", compiled, tx, engine.jobs, row.revision_id)
    shape = run_shape(row, job, counts, awaits)
    if row.state == "waiting" and row.reason == WAITS and row.limit_key is not None:
        shape["waitingFor"] = place_in_line(tx, row.limit_key, row.id, shape["waitingFor"] or {})
    if row.state == "waiting" and row.reason == ONE_TOO_MANY:
        shape["waitingFor"] = place_in_project(tx, row.project, row.id, shape["waitingFor"] or {})
    return shape


async def list_runs(engine: Engine, filters: RunFilter) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of runs, newest first, and the cursor of the next page; None where this is the last."""
    return await engine.store.read(_list, engine, filters)


def _list(tx: Transaction, engine: Engine, filters: RunFilter) -> tuple[list[dict[str, Any]], str | None]:
    rows = stored.list_runs(tx, filters)
    shapes = [_shape(tx, engine, row) for row in rows]
    more = len(rows) == filters.limit and rows
    return shapes, id_text(rows[-1].id) if more else None


async def list_tasks(
    engine: Engine, run_id: bytes, *, after: int = -1, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return the tasks of a run in their order: those behind the task `after`, at most `limit` of them.

    Raises NotFound where there is no such run.
    """
    return await engine.store.read(read_tasks, engine, run_id, after=after, limit=limit)


def read_tasks(
    tx: Transaction, engine: Engine, run_id: bytes, *, after: int = -1, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return the tasks of a run within a unit of work; see `list_tasks`."""
    job, places = _opened(tx, engine, run_id)
    return [task_shape(run_id, row, job, places) for row in tasks_of(tx, run_id, after=after, limit=limit)]


async def list_attempts(
    engine: Engine, run_id: bytes, *, after: tuple[int, int] = FIRST, limit: int | None = None
) -> list[dict[str, Any]]:
    """Return the attempts of a run by task and number: those behind `after`, such a pair, at most `limit` of them.

    Raises NotFound where there is no such run.
    """
    return await engine.store.read(_attempts, engine, run_id, after, limit)


def _attempts(
    tx: Transaction, engine: Engine, run_id: bytes, after: tuple[int, int], limit: int | None
) -> list[dict[str, Any]]:
    job, places = _opened(tx, engine, run_id)
    return [attempt_shape(run_id, row, job, places) for row in attempts_of(tx, run_id, after=after, limit=limit)]


async def run_graph(engine: Engine, run_id: bytes) -> dict[str, Any]:
    """Return the graph of a run: its steps with their tasks' states, its edges, its layers."""
    return await engine.store.read(_graph, engine, run_id)


def _graph(tx: Transaction, engine: Engine, run_id: bytes) -> dict[str, Any]:
    job, places = _opened(tx, engine, run_id)
    tasks: dict[int, list[dict[str, Any]]] = {}
    for row in tasks_of(tx, run_id):
        tasks.setdefault(places.of(row.task)[0], []).append(task_shape(run_id, row, job, places))
    graph = job_graph(job)
    for node in graph["nodes"]:
        found = tasks.get(node["number"], [])
        counts: dict[str, int] = {}
        for task in found:
            counts[task["state"]] = counts.get(task["state"], 0) + 1
        node["counts"] = counts
        node["tasks"] = [{name: task[name] for name in ("id", "key", "state", "reason", "keptFrom")} for task in found]
    return {"runId": id_text(run_id), **graph}


async def list_artifacts(engine: Engine, run_id: bytes) -> list[dict[str, Any]]:
    """Return the files that a run left, by task and name. Raises NotFound where there is no such run."""
    return await engine.store.read(_artifacts, engine, run_id)


def _artifacts(tx: Transaction, engine: Engine, run_id: bytes) -> list[dict[str, Any]]:
    job, places = _opened(tx, engine, run_id)
    return [artifact_shape(run_id, row, job, places) for row in artifacts_of(tx, run_id)]


def job_graph(job: CompiledJob) -> dict[str, Any]:
    """Return the graph of a job: nodes in topological order, edges, layers, grouped successors."""
    graph, steps = job.graph, job.job.steps
    order = graph.order()
    return {
        "job": job.alias,
        "revision": job.number,
        "nodes": [
            {
                "number": number,
                "name": steps[number].name,
                "type": steps[number].type,
                "triggerRule": steps[number].trigger_rule,
                "branch": steps[number].branch,
                "dependsOn": [graph.names[other] for other in graph.predecessors[number]],
            }
            for number in order
        ],
        "edges": [
            {"from": graph.names[number], "to": graph.names[after]}
            for number in order
            for after in graph.successors[number]
        ],
        "order": [graph.names[number] for number in order],
        "layers": [[graph.names[number] for number in layer] for layer in graph.layers()],
        "successors": {
            graph.names[number]: [graph.names[after] for after in graph.successors[number]] for number in order
        },
    }


def _row(tx: Transaction, run_id: bytes) -> Any:
    row = stored.run(tx, run_id)
    if row is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    return row


def _opened(tx: Transaction, engine: Engine, run_id: bytes) -> tuple[CompiledJob, Places]:
    row = _row(tx, run_id)
    job = compiled(tx, engine.jobs, row.revision_id)
    return job, Places(job, row.expansion)
