"""Revisions ready to run: parsed once, kept by id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from windlass.errors import NotFound, WindlassError
from windlass.model.catalog import StepCatalog
from windlass.model.definition import Job, TriggerRule
from windlass.model.graph import StepGraph, step_graph
from windlass.model.plugged import plugged_of
from windlass.model.rates import Rate, Takes, stated, takes_of
from windlass.model.rendering import CompiledStep, References, compile_step
from windlass.model.step_cache import KeyTexts, key_texts
from windlass.model.steptype import StepSpec
from windlass.store.revisions import is_settled, revision
from windlass.store.transaction import Transaction

#: Steps of all kept jobs together: some hundred MB at the very most, far less with jobs of usual size.
STEP_LIMIT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledJob:
    """One revision with everything that does not change from run to run."""

    revision_id: int
    job_id: bytes
    project: str
    alias: str
    #: Number of the revision.
    number: int
    job: Job
    graph: StepGraph
    #: Trigger rule of each step, by its place in the file.
    rules: tuple[TriggerRule, ...]
    #: What a start of each step takes of limited resources; None where none takes anything. The limits that it states.
    takes: Sequence[Takes] | None = None
    stated: Mapping[str, Rate] = field(default_factory=dict)
    #: The type of each step that only workers with a plug-in may have; None where no step has such a type.
    plugged: Sequence[str | None] | None = None
    #: Steps compiled for rendering, made when they are first needed.
    _steps: dict[int, CompiledStep] = field(default_factory=dict, repr=False)
    #: `cache.key` of steps, compiled when they are first needed.
    _keys: dict[int, KeyTexts] = field(default_factory=dict, repr=False)
    #: Numbers of steps by name, made when they are first needed.
    _numbers: dict[str, int] = field(default_factory=dict, repr=False)

    def step(self, number: int, catalog: StepCatalog) -> CompiledStep:
        """Return a step ready to be rendered. Raises NotFound where its type is not known."""
        found = self._steps.get(number)
        if found is None:
            step = self.job.steps[number]
            spec = catalog.get(step.type)
            if spec is None:
                raise NotFound(f'Step "{step.name}": there is no step type "{step.type}" here.')
            found = self._steps[number] = compile_step(step, spec)
        return found

    def references(self, number: int, catalog: StepCatalog) -> References:
        """Return what a step names, also where its type is one that only workers elsewhere have."""
        step = self.job.steps[number]
        if step.type in catalog:
            return self.step(number, catalog).references
        return compile_step(step, StepSpec(name=step.type, summary="", schema={})).references

    def key_texts(self, number: int) -> KeyTexts:
        """Return `cache.key` of a step, ready to be evaluated. Raises ExpressionError where it cannot be read."""
        found = self._keys.get(number)
        if found is None:
            found = self._keys[number] = key_texts(self.job.steps[number])
        return found

    def named(self, number: int, catalog: StepCatalog) -> frozenset[int]:
        """Return the steps whose results the expressions of a step name.

        Expressions that this program does not understand name none; the attempt will say what is wrong with them.
        """
        if not self._numbers:
            self._numbers.update({_spelled(name): other for other, name in enumerate(self.graph.names)})
        try:
            names = self.references(number, catalog).steps
            if self.job.steps[number].cache is not None:
                names |= self.key_texts(number).references.steps
        except WindlassError:
            return frozenset()
        return frozenset(self._numbers[_spelled(name)] for name in names if _spelled(name) in self._numbers)


def _spelled(name: str) -> str:
    """Return the one spelling of a step's name: in expressions `load_eu` is `load-eu`."""
    return name.replace("-", "_")


class JobCache:
    """Compiled jobs by revision id, those used last; safe to use from every thread of a store."""

    def __init__(self, read: Callable[[Mapping[str, Any]], Job], *, steps: int = STEP_LIMIT) -> None:
        """Keep jobs of up to `steps` steps in all; `read` makes a job of canonical content."""
        self._read = read
        self._steps = steps
        self._kept = 0
        self._lock = threading.Lock()
        self._jobs: OrderedDict[int, CompiledJob] = OrderedDict()

    def get(self, revision_id: int) -> CompiledJob | None:
        """Return a job that is kept; None where it must be loaded."""
        with self._lock:
            found = self._jobs.get(revision_id)
            if found is not None:
                self._jobs.move_to_end(revision_id)
            return found

    def put(self, compiled: CompiledJob) -> None:
        """Keep a job, and let go of those unused longest where there is no more room; the newest always stays."""
        with self._lock:
            self._drop(compiled.revision_id)
            self._jobs[compiled.revision_id] = compiled
            self._kept += len(compiled.job.steps)
            while self._kept > self._steps and len(self._jobs) > 1:
                self._drop(next(iter(self._jobs)))

    def forget(self, revision_id: int) -> None:
        """Let go of a job.

        Whoever inserts a revision calls this with its id: an id that was given out in a transaction which failed is
        given out again, and what was compiled in that transaction must not stand for the new content.
        """
        with self._lock:
            self._drop(revision_id)

    def compile(
        self, *, revision_id: int, job_id: bytes, project: str, alias: str, number: int, content: Mapping[str, Any]
    ) -> CompiledJob:
        """Return the compiled form of canonical content, without keeping it."""
        job = self._read(content)
        graph = step_graph(job)
        return CompiledJob(
            revision_id=revision_id,
            job_id=job_id,
            project=project,
            alias=alias,
            number=number,
            job=job,
            graph=graph,
            rules=tuple(step.trigger_rule for step in job.steps),
            takes=takes_of(job),
            stated=stated(job),
            plugged=plugged_of(job),
        )

    def _drop(self, revision_id: int) -> None:
        gone = self._jobs.pop(revision_id, None)
        if gone is not None:
            self._kept -= len(gone.job.steps)


def compiled(tx: Transaction, cache: JobCache, revision_id: int) -> CompiledJob:
    """Return a revision ready to run, from the cache or the store.

    Raises NotFound where there is no such revision.
    """
    found = cache.get(revision_id)
    if found is None:
        stored = revision(tx, revision_id)
        if stored is None:
            raise NotFound(f"There is no revision with the id {revision_id}.")
        found = cache.compile(
            revision_id=stored.id,
            job_id=stored.job_id,
            project=stored.project,
            alias=stored.alias,
            number=stored.number,
            content=orjson.loads(stored.content),
        )
        if is_settled(tx, revision_id):
            cache.put(found)
    return found
