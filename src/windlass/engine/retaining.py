"""The rules under which final runs leave: of jobs first, then of policies, then of the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

from windlass.clock import micros
from windlass.engine.engine import Engine
from windlass.engine.stored_documents import POLICIES
from windlass.model.retention import FinalRun, RetentionRule, rule_of
from windlass.store.archive.leaving import candidates
from windlass.store.documents import documents_of
from windlass.store.retained import job_names, jobs_with_retention
from windlass.store.transaction import Transaction

#: Runs that are looked at, and moved, together.
BATCH: Final = 500
#: Jobs that are looked at one by one; of more than these all runs are looked at.
_MOST_JOBS: Final = 400
DAY: Final = micros(86_400)
#: How long runs stay in a store in memory, in seconds.
_MEMORY_COMPLETED: Final = 3_600
_MEMORY_OTHERS: Final = 7_200


def rules_of(tx: Transaction, engine: Engine) -> list[RetentionRule]:
    """Return all rules, the ones that come first first."""
    if engine.store.kind == "memory":
        completed = frozenset({"completed"})
        return [
            RetentionRule(name="memory", min_age=micros(_MEMORY_COMPLETED), to="delete", states=completed),
            RetentionRule(name="memory", min_age=micros(_MEMORY_OTHERS), to="delete"),
        ]
    own = RetentionRule(name="WINDLASS_RETENTION", min_age=micros(engine.settings.retention))
    names = job_names(tx)
    policies = [
        _policy(found.project, found.name, orjson.loads(found.content)["spec"], names)
        for found in documents_of(tx, POLICIES.kind)
    ]
    return [*_jobs(tx), *policies, own]


async def leaving_runs(
    engine: Engine, rules: Sequence[RetentionRule]
) -> AsyncIterator[tuple[RetentionRule, list[FinalRun]]]:
    """Yield the runs that must go, in batches, each with the rule that says so."""
    undecided = micros(engine.settings.archive_retention)
    for rule in rules:
        for job_id, by_age in _looks(rule):
            after: bytes | None = b""
            while after is not None:
                found, after = await engine.store.read(
                    candidates, rule, job_id, by_age=by_age, undecided=undecided, after=after, limit=BATCH
                )
                mine = [run for run in found if rule_of(rules, run) is rule]
                if mine:
                    yield rule, mine


def _looks(rule: RetentionRule) -> Iterator[tuple[bytes | None, bool]]:
    """Yield which job to look at, and whether for the age of its runs or for their number."""
    each = rule.jobs is not None and len(rule.jobs) <= _MOST_JOBS
    for job_id in sorted(rule.jobs or ()) if each else [None]:
        if rule.min_age is not None:
            yield job_id, True
        if rule.keep is not None and job_id is not None:
            yield job_id, False


def _jobs(tx: Transaction) -> Iterator[RetentionRule]:
    for job_id, alias, retention in jobs_with_retention(tx):
        runs = retention.get("runs") or {}
        days, last = runs.get("days"), runs.get("last")
        if days is not None or last is not None:
            yield RetentionRule(
                name=f"retention of job {alias}",
                min_age=None if days is None else days * DAY,
                keep=last,
                jobs=frozenset({job_id}),
            )


def _policy(project: str, name: str, spec: dict[str, Any], names: Sequence[tuple[bytes, str, str]]) -> RetentionRule:
    globs = spec.get("jobs")
    jobs = (
        None
        if globs is None
        else frozenset(
            job_id for job_id, of, alias in names if of == project and any(fnmatchcase(alias, glob) for glob in globs)
        )
    )
    return RetentionRule(
        name=f"policy {name}",
        min_age=micros(spec["minAge"]),
        to=spec.get("to", "archive"),
        project=project,
        jobs=jobs,
        states=frozenset(spec.get("states") or ()),
        partition=spec.get("partition"),
    )
