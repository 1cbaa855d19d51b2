"""Results of steps by their content: what a task's result depends on, an earlier one taken, a new one kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from windlass.clock import micros
from windlass.engine.claim import Claim
from windlass.engine.engine import Engine
from windlass.engine.place import Place
from windlass.engine.report import Ended, KeptFile
from windlass.engine.secret import SCHEME
from windlass.engine.shapes import secret_names
from windlass.engine.step_context import expression_context
from windlass.errors import ExpressionError, WindlassError
from windlass.ids import id_text
from windlass.model.masking import Masker
from windlass.model.outcome import Cached, Completed
from windlass.model.rendering import CompiledStep, Rendered
from windlass.model.step_cache import CacheKey, KeyTexts, cache_key, is_cached, ttl_of
from windlass.steps.kept_files import Damaged, take_files
from windlass.store import step_cache as stored
from windlass.store.kept import set_kept_from
from windlass.store.step_cache import CacheEntry, CacheFile
from windlass.store.transaction import Transaction, apart

_log = logging.getLogger(__name__)

#: In the trigger of a run: nothing is taken from the cache for it or for what it starts.
NO_CACHE: Final = "noCache"

Keep = Callable[[tuple[KeptFile, ...]], Awaitable[None]]
#: Why nothing was taken: `{"missed": reason, ...}`, as the start of the attempt tells it.
Missed = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The result of one task, by everything that it depends on."""

    key: CacheKey
    project: str
    #: Alias of the job, name of the step, key of the matrix cell.
    job: str
    step: str
    cell: str
    #: Microseconds that a result is good for.
    ttl: int
    #: True where none is taken, only kept.
    fresh: bool = False


def wanted_result(engine: Place, claim: Claim, parameters: Mapping[str, Any]) -> Wanted | None:
    """Return by what the result of a claim's step is kept; None where it is not kept.

    That is so of steps that say nothing of it, and of those that are given a secret by value: then `claim.cache` says
    so. Raises ExpressionError where a text of `cache.key` cannot be computed.
    """
    step, job = claim.step, claim.job
    if not is_cached(step):
        return None
    compiled, texts = job.step(claim.step_number, engine.catalog), job.key_texts(claim.step_number)
    secret = secret_names(job)
    if _reads_secrets(secret, parameters, compiled, texts):
        claim.cache = {"missed": "secret"}
        return None
    context = expression_context(claim, parameters)
    try:
        # Secrets stand for themselves by name: whoever holds the key, or compares two, learns nothing of them.
        rendered = compiled.render(context, {name: name for name in compiled.references.secrets})
    except ExpressionError:
        return None  # the attempt will say what is wrong
    values = texts.values({**context, "env": rendered.env})
    trigger = {} if claim.trigger is None else orjson.loads(claim.trigger)
    shown = (
        None if "key" in (step.cache or {}) else {name: parameters[name] for name in parameters if name not in secret}
    )
    try:
        key = cache_key(_parts(claim, rendered, values, shown, trigger))
    except ExpressionError as error:
        _log.warning("No result of %s is kept: %s", step.name, error)  # a config of more than JSON
        return None
    return Wanted(
        key=key,
        project=job.project,
        job=job.alias,
        step=step.name,
        cell=claim.key,
        ttl=micros(ttl_of(step)),
        fresh=bool(trigger.get(NO_CACHE)) or step.name in trigger.get("from", ()),
    )


def _reads_secrets(
    secret: frozenset[str], parameters: Mapping[str, Any], compiled: CompiledStep, texts: KeyTexts
) -> bool:
    """Say whether a step is given a secret parameter by its value, and not by a reference that names it."""
    named = compiled.references.parameters | texts.references.parameters
    read = secret if "*" in named else secret & named
    return any(not str(parameters[name]).startswith(SCHEME) for name in read if name in parameters)


def _parts(
    claim: Claim,
    rendered: Rendered,
    values: list[Any],
    parameters: Mapping[str, Any] | None,
    trigger: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything that a result depends on, by the names that people are told."""
    step, graph, definition = claim.step, claim.job.graph, claim.job.job
    before = {graph.names[other] for other in graph.predecessors[claim.step_number]}
    return {
        "step": {
            "job": claim.job.alias,
            "name": step.name,
            "type": step.type,
            "artifacts": list(step.artifacts),
            "choices": [graph.names[after] for after in graph.successors[claim.step_number]] if step.branch else None,
            "pool": definition.requires.pool,
            "labels": dict(definition.requires.labels),
            # `exec` and what repeats it start their steps in a folder with files that others do not have.
            "folder": trigger.get("folder"),
        },
        "version": (step.cache or {}).get("version"),
        "config": rendered.config,
        "env": {"own": rendered.env, "carried": rendered.variables},
        "matrix": {"key": claim.key, "values": claim.values},
        "key": values,
        "parameters": parameters,
        "outputs": {name: result.outputs for name, result in claim.results.items() if name in before},
    }


def look_up(tx: Transaction, wanted: Wanted) -> CacheEntry | Missed:
    """Return the kept result that a task may take; else why there is none."""
    if wanted.fresh:
        return {"missed": "not_asked"}
    try:
        entry = stored.find(tx, wanted.project, wanted.key.text)
        if entry is None:
            other = stored.newest_of(tx, wanted.project, wanted.job, wanted.step, wanted.cell)
            return {"missed": "nothing_kept"} if other is None else _difference(wanted, other)
    except (ValueError, TypeError, AttributeError):
        _log.exception("What is kept of %s cannot be read", wanted.step)
        return {"missed": "damaged"}
    # A result of the future was made before the clock was set back: nobody knows how old it is.
    if entry.expires_at <= tx.now or abs(tx.now - entry.created_at) >= wanted.ttl:
        return {"missed": "expired", "from": id_text(entry.run_id)}
    return entry


def _difference(wanted: Wanted, other: CacheEntry) -> Missed:
    return {"missed": "differs", "differs": list(wanted.key.differs(other.parts)), "from": id_text(other.run_id)}


async def take_result(engine: Engine, artifacts: Path, claim: Claim, entry: CacheEntry) -> Ended | Missed:
    """Put the files of a kept result into the run of a claim, and return the end of its task.

    Where a file is not what it was it says so: then the step is worked for.
    """
    if entry.files:
        run = id_text(claim.run_id)
        files = [(file.sha256, file.size) for file in entry.files]
        try:
            await asyncio.to_thread(take_files, files, cache_folder(engine), artifacts / run)
        except Damaged:
            _log.warning("A file that was kept of %s in run %s is damaged", entry.step, id_text(entry.run_id))
            return {"missed": "damaged", "from": id_text(entry.run_id)}
        except OSError as error:
            _log.warning("The files kept of %s cannot be had: %s", entry.step, error)
            return {"missed": "unreadable", "from": id_text(entry.run_id)}
        kept = tuple(KeptFile(file.name, file.size, file.sha256, f"{run}/{file.sha256}") for file in entry.files)
    else:
        kept = ()
    outcome = Cached(entry.outputs, entry.exit_code, entry.branches, entry.key, entry.run_id)
    return Ended(outcome, artifacts=kept)


async def offer_result(place: Place, keep: Keep, ended: Ended, wanted: Wanted, masker: Masker) -> None:
    """Say with the end of an attempt that its result is to be kept, where it may be.

    `keep` keeps its files. That is so of what completed. What a secret was masked in is not kept, nor files of a step
    that was given one.
    """
    if type(ended.outcome) is not Completed or ended.hid or (masker.active and ended.artifacts):
        return
    if ended.artifacts:
        if place.room.shortage() is not None:
            return
        try:
            await keep(ended.artifacts)
        except (OSError, WindlassError) as error:
            _log.warning("The result of %s is not kept for later: %s", wanted.step, error)
            return
    ended.keep = wanted


def keep_result(
    tx: Transaction, engine: Engine, run_id: bytes, wanted: Wanted, outcome: Completed, files: tuple[KeptFile, ...]
) -> None:
    """Keep the result of a task with its end, within a unit of work; where that fails, the end stands without it."""
    failure = apart(tx, partial(_keep, tx, engine, run_id, wanted, outcome, files))
    if failure is not None:
        _log.error("The result of %s is not kept for later", wanted.step, exc_info=failure)


def _keep(
    tx: Transaction, engine: Engine, run_id: bytes, wanted: Wanted, outcome: Completed, files: tuple[KeptFile, ...]
) -> None:
    settings = engine.settings
    entry = CacheEntry(
        project=wanted.project,
        key=wanted.key.text,
        job=wanted.job,
        step=wanted.step,
        cell=wanted.cell,
        run_id=run_id,
        outputs=dict(outcome.outputs),
        exit_code=outcome.exit_code,
        branches=outcome.branches,
        files=tuple(CacheFile(file.name, file.size, file.sha256) for file in files),
        parts=dict(wanted.key.parts),
        created_at=tx.now,
        expires_at=tx.now + wanted.ttl,
    )
    stored.keep(tx, entry, most=settings.cache_entries, largest=settings.cache_size)


def note_taken(tx: Transaction, run_id: bytes, task: int, project: str, outcome: Cached) -> None:
    """Note of a final task whose result it took, within a unit of work."""
    set_kept_from(tx, run_id, task, outcome.origin)
    stored.taken(tx, project, outcome.key)


def cache_folder(engine: Engine) -> Path:
    """Return where the files of kept results are, by their hashes."""
    return engine.settings.files / "cache"
