"""Counters that are read from the events: nothing is counted while runs go by, and nothing that was undone counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

from windlass.engine.metrics.families import HISTORY
from windlass.model.event import RUN_ENDED
from windlass.model.metric import OTHER, Distribution, Family
from windlass.model.state import TASK_FINAL
from windlass.store import tally
from windlass.store.event_cursor import BEGINNING, following
from windlass.store.tally import Span
from windlass.store.transaction import Transaction

#: Facts that are added up in one transaction: some ten milliseconds of a reader's time.
PAGE: Final = 20_000
#: Jobs that may have a label of their own, whatever the setting allows.
MOST_JOBS: Final = 200
_TASK_ENDED: Final = frozenset(f"task.{state}" for state in TASK_FINAL)
_BUCKETS: Final = {family.name: family.buckets for family in HISTORY if family.kind == "histogram"}
_MICROS: Final = 1_000_000
_DELAY, _RUN, _WAIT, _ATTEMPT = (
    "windlass_run_start_delay_seconds",
    "windlass_run_duration_seconds",
    "windlass_task_queue_seconds",
    "windlass_attempt_duration_seconds",
)

Counted = dict[str, dict[tuple[str, ...], "float | Distribution"]]


@dataclass(slots=True)
class History:
    """What the events say since `begin`."""

    #: Jobs that have a label of their own, globs.
    named: tuple[str, ...] = ()
    #: The cursor behind all that is counted; None before the beginning.
    reached: str | None = None
    #: Facts behind it that are not counted yet.
    behind: int = 0
    counted: Counted = field(default_factory=lambda: {family.name: _first(family) for family in HISTORY})
    _labels: dict[bytes, str] = field(default_factory=dict)
    _own: set[str] = field(default_factory=set)

    def read(self, tx: Transaction) -> Callable[[], bool]:
        """Read the next page; return what adds it, and says whether there is more.

        The two are apart because a read that failed half way must not count.
        """
        span = following(tx, self.reached or BEGINNING, PAGE)
        page = None if span.empty else _Page(tx, Span(span, by_job=bool(self.named)))
        fresh = {} if page is None else tally.job_names(tx, page.job_ids - self._labels.keys())

        def add() -> bool:
            for job_id, alias in sorted(fresh.items()):
                self._labels[job_id] = self._label(alias)
            if page is not None:
                page.add_to(self)
            self.reached, self.behind = span.cursor, span.left
            return self.behind > 0

        return add

    def count(self, name: str, job_id: bytes | None, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        series = self.counted[name]
        key = (self._job(job_id), *labels)
        before = series.get(key, 0.0)
        series[key] = by if isinstance(before, Distribution) else before + by

    def spread(self, name: str, job_id: bytes | None, bucket: int, number: int, micros: float | None) -> None:
        """Add to a histogram: `number` lengths of one bucket, which are `micros` together."""
        found = self._distribution(name, job_id)
        found.add(bucket, number, float(micros or 0) / _MICROS)

    def observe(self, name: str, job_id: bytes | None, micros: float) -> None:
        """Add one length to a histogram."""
        self._distribution(name, job_id).observe(micros / _MICROS)

    def _distribution(self, name: str, job_id: bytes | None) -> Distribution:
        found = self.counted[name].setdefault((self._job(job_id),), Distribution(_BUCKETS[name]))
        if not isinstance(found, Distribution):
            raise TypeError(f"{name} is no histogram")
        return found

    def _job(self, job_id: bytes | None) -> str:
        return OTHER if job_id is None else self._labels.get(job_id, OTHER)

    def _label(self, alias: str) -> str:
        """Return what a job is called: its alias where the setting names it, while there are not too many of them."""
        if not any(fnmatchcase(alias, pattern) for pattern in self.named):
            return OTHER
        if alias not in self._own and len(self._own) >= MOST_JOBS:
            return OTHER
        self._own.add(alias)
        return alias


def _first(family: Family) -> dict[tuple[str, ...], float | Distribution]:
    """Return what a metric begins with: counters by nothing but the job are there from the start, at 0."""
    return {(OTHER,): 0.0} if family.kind == "counter" and family.labels == ("job",) else {}


class _Page:
    """What a span of facts holds, read and not yet counted."""

    def __init__(self, tx: Transaction, span: Span) -> None:
        self.facts = tally.fact_counts(tx, span)
        types = {row.types for row in self.facts}
        self.starts = tally.run_delays(tx, span, _having(types, {"run.started"}), _BUCKETS[_DELAY])
        self.ends = tally.run_times(tx, span, _having(types, RUN_ENDED), _BUCKETS[_RUN])
        ended = _having(types, _TASK_ENDED)
        self.tasks = tally.task_ends(tx, span, ended, _BUCKETS[_WAIT], _BUCKETS[_ATTEMPT])
        #: `(job_id, attempt or task)` that were told of by data alone.
        self.others: list[tuple[bytes | None, Any]] = []
        #: `(job_id, state, number)` of tasks that ended beside another one.
        self.beside: list[tuple[bytes | None, str, int]] = []
        ending = _having(types, _TASK_ENDED | RUN_ENDED | {"run.cancel_requested", "run.repaired"})
        for row in tally.facts_with_data(tx, span, _having(types, {"task.retried"}), ending):
            self._read(tx, row)
        self.job_ids = {row.job_id for row in self.facts if row.job_id is not None}

    def _read(self, tx: Transaction, row: Any) -> None:
        data = orjson.loads(row.data)
        if "task.retried" in row.types.split(","):
            found = tally.attempt(tx, row.run_id, row.task, data["attempt"])
            if found is not None:
                self.others.append((row.job_id, found))
        for state in ("skipped", "cancelled"):
            for first, last, _ in data.get(state) or ():
                self.beside.append((row.job_id, state, last - first + 1))
                self.others += [(row.job_id, one) for one in tally.attempts_of(tx, row.run_id, first, last)]

    def add_to(self, history: History) -> None:
        """Count everything."""
        for row in self.facts:
            for name in row.types.split(","):
                _count_event(history, row.job_id, name, row.facts)
        for job_id, state, number in self.beside:
            history.count("windlass_tasks_ended_total", job_id, state, by=number)
        for name, rows in ((_DELAY, self.starts), (_RUN, self.ends)):
            for row in rows:
                history.spread(name, row.job_id, row.bucket, row.number, row.micros)
        for row in self.tasks:
            history.spread(_WAIT, row.job_id, row.wait, row.number, row.waited)
            history.spread(_ATTEMPT, row.job_id, row.length, row.number, row.ran)
            _count_used(history, row.job_id, row, row.number)
        for job_id, row in self.others:
            history.observe(_ATTEMPT, job_id, max(row.finished_at - row.started_at, 0))
            _count_used(history, job_id, row, 1)


def _having(types: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return those of the facts' `types` that stand for one of the `wanted` events."""
    asked = set(wanted)
    return sorted(one for one in types if not asked.isdisjoint(one.split(",")))


def _count_event(history: History, job_id: bytes | None, name: str, number: int) -> None:
    if name == "run.created":
        history.count("windlass_runs_created_total", job_id, by=number)
    elif name in RUN_ENDED:
        history.count("windlass_runs_ended_total", job_id, name.removeprefix("run."), by=number)
    elif name == "run.repaired":
        history.count("windlass_runs_repaired_total", job_id, by=number)
    elif name == "run.sla_missed":
        history.count("windlass_runs_sla_missed_total", job_id, by=number)
    elif name == "task.cached":
        history.count("windlass_tasks_cached_total", job_id, by=number)
    elif name == "task.cache_missed":
        history.count("windlass_tasks_cache_missed_total", job_id, by=number)
    elif name == "task.started":
        history.count("windlass_attempts_started_total", job_id, by=number)
    elif name in _TASK_ENDED:
        history.count("windlass_tasks_ended_total", job_id, name.removeprefix("task."), by=number)


def _count_used(history: History, job_id: bytes | None, row: Any, number: int) -> None:
    """Count attempts by their outcome, and what they used."""
    history.count("windlass_attempts_ended_total", job_id, row.outcome, by=number)
    history.count("windlass_output_bytes_total", job_id, by=row.bytes_out or 0)
    history.count("windlass_log_bytes_total", job_id, by=row.log_bytes or 0)
    history.count("windlass_attempts_cpu_seconds_total", job_id, by=(row.cpu_micros or 0) / _MICROS)
