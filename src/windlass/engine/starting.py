"""Starting runs of stored jobs: the job found, its parameters checked, the run submitted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import orjson

from windlass.engine.book import to_json
from windlass.engine.compiled import CompiledJob, compiled
from windlass.engine.dependencies import Dependency, read_dependencies
from windlass.engine.engine import Engine
from windlass.engine.families import root_below
from windlass.engine.jobs import find_job, find_revision, split_reference
from windlass.engine.once import earlier_run, request
from windlass.engine.reading import get_run, named_run
from windlass.engine.step_cache import NO_CACHE
from windlass.engine.submission import Accepted, Prepared, Submission, accept, expansion_of, require_startable, submit
from windlass.errors import Conflict, InvalidDocument, LimitExceeded, NotFound, UserError
from windlass.ids import id_text
from windlass.model.definition import PRIORITIES
from windlass.model.finding import Finding
from windlass.model.manifest.limits import Limits
from windlass.model.parameters import check_parameters, from_text
from windlass.model.plugged import wanted_types
from windlass.model.rates import Takes, route_text
from windlass.model.worker_facts import requiring, requiring_app
from windlass.store import runs as stored_runs
from windlass.store import workers
from windlass.store.dead_letters import settle_dead
from windlass.store.hot import insert_facts
from windlass.store.rows import NewFact
from windlass.store.transaction import Transaction

_NO_PARENT: Final = (None, None)
#: Highest priority, in points.
_TOP = PRIORITIES["critical"]
#: Most runs that one transaction accepts.
MOST_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A run that somebody asks for, as they said it."""

    project: str
    #: Alias or id of the job, which may name a revision too: `job@7`, `job@tag`.
    job: str
    #: Number or tag of a revision; None takes the newest.
    revision: int | str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: Parameters as `name=value` texts, read by the types of the job's parameters.
    texts: Mapping[str, str] = field(default_factory=dict)
    #: A name (critical, high, normal, low) or 1 to 15.
    priority: str | int | None = None
    scheduled_at: int | None = None
    #: Not before this many seconds from now, instead of `scheduled_at`.
    delay: float | None = None
    labels: Mapping[str, str] | None = None
    note: str | None = None
    trigger: Mapping[str, Any] | None = None
    correlation_id: str | None = None
    #: W3C trace context of whoever asks: no part of what an idempotency key stands for.
    traceparent: str | None = None
    idempotency_key: str | None = None
    #: Runs that must end first: texts `RUN[:condition]`, or `{run, condition}`.
    depends_on: Sequence[str | Mapping[str, Any]] = ()
    #: The run that starts it, by its id or the beginning of it.
    parent: str | None = None
    #: Whether it is cancelled with its parent.
    cascade: bool = True
    #: Whether its steps take no earlier results from the step cache.
    no_cache: bool = False

    def asked(self, **more: Any) -> dict[str, Any]:
        """Return what was asked for as it was said, and `more`: what an idempotency key stands for."""
        return request(
            self.job,
            parameters=self.parameters,
            texts=self.texts,
            revision=self.revision,
            priority=None if self.priority is None else points(self.priority),
            scheduled_at=self.scheduled_at,
            delay=self.delay,
            labels=self.labels,
            note=self.note,
            depends_on=self.depends_on,
            **({"parent": [self.parent, self.cascade]} if self.parent else {}),
            **({NO_CACHE: True} if self.no_cache else {}),
            **more,
        )


async def start_run(engine: Engine, start: Start) -> tuple[dict[str, Any], bool]:
    """Start a run; return it, and False where its idempotency key already stood for it.

    Raises NotFound where there is no such job, Conflict where it is disabled, InvalidDocument with all that is wrong
    with the parameters, UserError where something else is.
    """
    asked = None if start.idempotency_key is None else start.asked()
    earlier = await earlier_run(engine, start.project, start.idempotency_key, asked or {})
    if earlier is not None:
        return await get_run(engine, earlier), False
    prepared = await engine.store.run(prepare, engine, start.project, start.job, start.revision)
    form = await _form(engine, start)
    complete = checked(engine, prepared.job, start.parameters, start.texts)
    submission = replace(form, parameters=complete, idempotency_key=start.idempotency_key, asked=asked)
    accepted: Accepted = (await submit(engine, prepared, [submission]))[0]
    return await get_run(engine, accepted.run_id), accepted.created


async def _form(engine: Engine, start: Start) -> Submission:
    """Return what is submitted for a start, without parameters and idempotency key."""
    depends_on = await engine.store.read(dependencies, start.depends_on) if start.depends_on else ()
    parent = await engine.store.read(parentage, engine, start.parent) if start.parent else _NO_PARENT
    return Submission(
        priority=None if start.priority is None else points(start.priority),
        scheduled_at=start.scheduled_at,
        delay=start.delay,
        labels=start.labels,
        note=start.note,
        trigger=start.trigger,
        correlation_id=start.correlation_id,
        traceparent=start.traceparent,
        depends_on=depends_on,
        parent_id=parent[0],
        root_id=parent[1],
        cascade=start.cascade or parent[0] is None,
        no_cache=start.no_cache,
    )


async def start_many(engine: Engine, start: Start, parameters: Sequence[Mapping[str, Any]]) -> tuple[list[str], bool]:
    """Start a run for each of `parameters`, all or none; those of `start` do not count.

    Return their ids in order, and False where the idempotency key of `start` already stood for all of them.
    Raises as `start_run` does, and LimitExceeded where there are more than `MOST_AT_ONCE`.
    """
    if len(parameters) > MOST_AT_ONCE:
        raise LimitExceeded("runs that are started at once", len(parameters), MOST_AT_ONCE)
    one_of = _one_of_many(start, parameters)
    earlier = [await earlier_run(engine, start.project, *one_of(number)) for number in range(len(parameters))]
    found = [id_text(run_id) for run_id in earlier if run_id is not None]
    if found and len(found) == len(parameters):
        return found, False
    prepared = await engine.store.run(prepare, engine, start.project, start.job, start.revision)
    form = await _form(engine, start)
    submissions = []
    for number, complete in enumerate(checked_each(engine, prepared.job, parameters)):
        key, asked = one_of(number)
        submissions.append(replace(form, parameters=complete, idempotency_key=key, asked=asked))
    accepted = await submit(engine, prepared, submissions)
    return [id_text(one.run_id) for one in accepted], any(one.created for one in accepted)


def _one_of_many(
    start: Start, parameters: Sequence[Mapping[str, Any]]
) -> Callable[[int], tuple[str | None, dict[str, Any]]]:
    """Return what gives the key of each run of a batch, by its number, and what that stands for: all of the batch."""
    key = start.idempotency_key
    if key is None:
        return lambda _: (None, {})
    text = orjson.dumps(parameters, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    digest = hashlib.sha256(text).hexdigest()
    return lambda number: (f"{key}[{number}]" if number else key, start.asked(all=digest, number=number))


def prepare(tx: Transaction, engine: Engine, project: str, job: str, revision: int | str | None) -> Prepared:
    """Find a job by alias or id, and the route of its tasks, within a unit of work; see `start_run`."""
    alias, name = split_reference(job, revision)
    found = find_job(tx, project, alias)
    if found.deleted_at is not None:
        raise NotFound(f'Job "{found.alias}" was deleted: apply its manifest again to bring it back.')
    if not found.enabled:
        raise Conflict(f'Job "{found.alias}" is disabled; enable it before starting a run.')
    newest = name is None or name == found.revision
    return prepared_revision(tx, engine, found.revision_id if newest else find_revision(tx, found, name).id)


def parentage(tx: Transaction, engine: Engine, parent: str) -> tuple[bytes, bytes]:
    """Return the run that starts another one, named by a text, and the root of both; see `root_below`."""
    found = named_run(tx, parent)
    return found, root_below(tx, engine, found)


def dependencies(tx: Transaction, said: Sequence[str | Mapping[str, Any]]) -> tuple[Dependency, ...]:
    """Return the runs that texts name, with their conditions; see `read_dependencies`."""
    return read_dependencies(said, partial(named_run, tx))


def prepared_revision(tx: Transaction, engine: Engine, revision_id: int, queue: str | None = None) -> Prepared:
    """Return a revision ready for submissions; `queue` is where its tasks wait instead of the job's own."""
    job = compiled(tx, engine.jobs, revision_id)
    definition = job.job
    wanted = requiring_app(definition.requires.labels, definition.requires.app)
    return routed(tx, engine, job, definition.requires.pool, wanted, queue)


def routed(
    tx: Transaction, engine: Engine, job: CompiledJob, pool: str, labels: dict[str, str], queue: str | None = None
) -> Prepared:
    """Return a job with the routes of its steps.

    Steps that take of limited resources have their own, and so do those of types that not every worker has.
    """
    where = queue or job.job.queue
    route = workers.route_id(tx, where, pool, labels)
    if job.takes is None and job.plugged is None:
        return Prepared(job, route, queue)
    nothing = [None] * len(job.rules)
    types = nothing if job.plugged is None else wanted_types(job.plugged, engine.catalog)
    ways = list(zip(job.takes or [()] * len(job.rules), types, strict=True))
    known = {(takes, type_): _way(tx, job, where, pool, labels, takes, type_) for takes, type_ in dict.fromkeys(ways)}
    return Prepared(job, route, queue, [known[way] for way in ways])


def _way(
    tx: Transaction, job: CompiledJob, queue: str, pool: str, labels: dict[str, str], takes: Takes, type_: str | None
) -> int:
    wanted = labels if type_ is None else requiring(labels, type_)
    return workers.route_id(tx, queue, pool, wanted, route_text(job.project, takes))


def checked(
    engine: Engine, job: CompiledJob, parameters: Mapping[str, Any], texts: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the complete parameters of a run; raises InvalidDocument with all that is wrong with them."""
    values, findings = from_text(job.job, texts)
    limits = Limits(parameter_bytes=engine.settings.max_parameters)
    complete, more = check_parameters(job.job, {**parameters, **values}, limits)
    wrong = [finding for finding in (*findings, *more) if finding.level == "error"]
    if not wrong and engine.catalog.rules.parameters:
        verdicts = engine.catalog.rules.on_parameters(job.job, complete)
        wrong = [
            Finding("error", one.message, None, ("parameters", *one.path)) for one in verdicts if one.level == "error"
        ]
    if wrong:
        raise InvalidDocument(wrong)
    return complete


def checked_each(engine: Engine, job: CompiledJob, parameters: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the complete parameters of several runs; raises InvalidDocument that says which are wrong, and why."""
    found: list[Mapping[str, Any]] = []
    wrong: list[Finding] = []
    for number, one in enumerate(parameters):
        try:
            found.append(checked(engine, job, one, {}))
        except InvalidDocument as error:
            if len(parameters) == 1:
                raise
            for finding in error.findings:
                path = ("parameters", number, *finding.path[1:])
                wrong.append(replace(finding, message=f"parameters[{number}]: {finding.message}", path=path))
    if wrong:
        raise InvalidDocument(wrong)
    return found


def points(priority: str | int) -> int:
    """Return a priority as a number from 1 to 15; raises UserError where it is none."""
    if isinstance(priority, str) and priority in PRIORITIES:
        return PRIORITIES[priority]
    text = str(priority)
    if isinstance(priority, bool) or not text.isdecimal() or not 1 <= int(text[:9]) <= _TOP:
        raise UserError(f'Priority "{text[:40]}" is none of {", ".join(PRIORITIES)} and no number from 1 to {_TOP}.')
    return int(text)


async def retry_run(
    engine: Engine,
    run_id: bytes,
    *,
    by: str | None = None,
    idempotency_key: str | None = None,
    traceparent: str | None = None,
) -> tuple[dict[str, Any], bool]:
    """Run a final run again: a new run of the same revision with the same parameters and labels, linked to the old one.

    Return the new run, and False where the idempotency key already stood for it.
    Raises NotFound where there is no such run or its job was deleted, Conflict where it is not final or its job is
    disabled, UserError where the key stands for something else.
    """
    accepted = await engine.store.run(retry_within, engine, run_id, by, idempotency_key, traceparent)
    return await get_run(engine, accepted.run_id), accepted.created


def retry_within(
    tx: Transaction,
    engine: Engine,
    run_id: bytes,
    by: str | None,
    key: str | None = None,
    traceparent: str | None = None,
) -> Accepted:
    """Run a final run again within a unit of work; its dead letters are settled by that. See `retry_run`."""
    row = ended_run(tx, run_id, "a retry")
    submission = again(row, kind="retry", by=by, idempotency_key=key, traceparent=traceparent)
    prepared = prepared_revision(tx, engine, row.revision_id)
    require_startable(tx, prepared.job, [submission])
    (accepted,) = accept(tx, engine, prepared, [submission], [expansion_of(engine, prepared.job, submission)])
    if not accepted.created:
        return accepted
    settle_dead(tx, run_id, accepted.run_id)
    data = to_json({"run": id_text(accepted.run_id), "by": by})
    insert_facts(tx, [NewFact("run.retried", run_id, None, tx.now, data)])
    return accepted


def ended_run(tx: Transaction, run_id: bytes, before: str) -> Any:
    """Return the row of a final run; raises NotFound where there is none, Conflict where it is not final."""
    row = stored_runs.run(tx, run_id)
    if row is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    if row.finished_at is None:
        raise Conflict(f"Run {id_text(run_id)} is still {row.state}; cancel it, or wait for its end, before {before}.")
    return row


def again(
    row: Any,
    *,
    kind: str,
    by: str | None,
    idempotency_key: str | None,
    traceparent: str | None,
    kept: frozenset[int] = frozenset(),
    more: Mapping[str, Any] | None = None,
) -> Submission:
    """Return the submission that asks for what an earlier run was asked for; `kept` are tasks with results to keep."""
    trigger = {"type": kind, "run": id_text(row.id), "by": by, **(more or {})}
    before = {} if row.trigger is None else orjson.loads(row.trigger)
    if before.get("folder"):
        trigger["folder"] = before["folder"]  # steps of a manifest that `exec` ran start where they did
    return Submission(
        parameters=orjson.loads(row.parameters),
        priority=row.priority,
        labels=None if row.labels is None else orjson.loads(row.labels),
        trigger=trigger,
        correlation_id=row.correlation_id,
        traceparent=traceparent,
        idempotency_key=idempotency_key,
        kept=kept,
        kept_from=row.id if kept else None,
    )
