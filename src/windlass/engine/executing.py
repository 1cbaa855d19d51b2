"""Running a manifest here and now: kept as an unlisted revision, in a queue that whoever owns the store serves."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from windlass.engine.attempt import EXEC
from windlass.engine.dispatching import maintenance, maintenance_sentence
from windlass.engine.engine import Engine
from windlass.engine.manifests import Located, ManifestText
from windlass.engine.reading import get_run
from windlass.engine.starting import Start, checked, points, routed
from windlass.engine.submission import Prepared, Submission, submit
from windlass.engine.templates import read_manifests
from windlass.engine.unlisted import unlisted
from windlass.errors import Conflict, InvalidDocument, UserError
from windlass.model.finding import Finding
from windlass.store import workers
from windlass.store.transaction import Transaction
from windlass.store.workers import OF_ONE_HOME

#: Where tasks of such runs wait; no manifest can name it.
QUEUE: Final = ".exec"
#: Jobs of a file that a sentence names.
_NAMED: Final = 10
#: Seconds between looks when no hint comes.
_POLL: Final = 0.5


async def execute(
    engine: Engine, text: ManifestText, start: Start, *, folder: str | None, by: str | None
) -> tuple[dict[str, Any], tuple[Finding, ...], bool]:
    """Start a run of the one job in `text`; return the run, the warnings about the manifest, and whether it is new.

    Of `start` the job and the revision do not count. `folder` is where its steps start; None gives each its own.
    Raises InvalidDocument with all that is wrong with the manifest or the parameters, UserError where the text does not
    hold exactly one job.
    """
    manifests = await read_manifests(engine, [text], start.project)
    if manifests.errors:
        raise InvalidDocument(manifests.errors)
    if len(manifests.documents) != 1:
        found = [located.document.alias for located in manifests.documents]
        if not found:
            raise UserError(f"{text.file} holds no job; exec runs the one job of a file.")
        names = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        raise UserError(
            f"{text.file} holds {len(found)} jobs ({names}), and exec runs the one job of a file: store them with "
            "`windlass job apply`, then start one with `windlass run start JOB --wait`."
        )
    prepared = await engine.store.run(_prepare, engine, manifests.documents[0], start.project, by)
    submission = Submission(
        parameters=checked(engine, prepared.job, start.parameters, start.texts),
        priority=None if start.priority is None else points(start.priority),
        labels=start.labels,
        note=start.note,
        trigger={"type": EXEC, "file": text.file, "folder": folder, "by": by},
        correlation_id=start.correlation_id,
        traceparent=start.traceparent,
        idempotency_key=start.idempotency_key,
        revision=prepared.job.number,
        no_cache=start.no_cache,
        asked=start.asked(manifest=_digest(text), folder=folder),
    )
    accepted = (await submit(engine, prepared, [submission]))[0]
    return await get_run(engine, accepted.run_id), manifests.warnings, accepted.created


def _prepare(tx: Transaction, engine: Engine, located: Located, project: str, by: str | None) -> Prepared:
    """Keep the manifest; its tasks go to whoever owns the store, whatever workers the job requires."""
    said = maintenance(tx)
    if said["on"]:
        raise Conflict(f"{maintenance_sentence(said)}; `windlass maintenance off` ends it.")
    job = unlisted(tx, engine, located.document, project=project, author=by)
    return routed(tx, engine, job, engine.settings.pool, {}, queue_of(engine))


def _digest(text: ManifestText) -> str:
    data = text.data.encode(errors="surrogatepass") if isinstance(text.data, str) else text.data
    return hashlib.sha256(data).hexdigest()


def serving(engine: Engine, *, alone: bool) -> Engine:
    """Return an engine whose worker serves the queue of such runs: it `alone`, or beside those of the settings."""
    named, queue = engine.settings.queues, queue_of(engine)
    if alone:
        return replace(engine, settings=replace(engine.settings, queues=(queue,)))
    if (named is None and engine.alone) or queue in (named or ()):
        return engine
    return replace(engine, settings=replace(engine.settings, queues=(*(named or ("*",)), queue)))


def queue_of(engine: Engine) -> str:
    """Return the queue of runs that are executed here: where others share the store, only who has this home serves it.

    Their steps begin in the folder of their file, which is on this machine.
    """
    if engine.alone:
        return QUEUE
    here = f"{socket.gethostname()}\0{engine.settings.home.resolve()}"
    return f"{OF_ONE_HOME}{hashlib.sha256(here.encode()).hexdigest()[:8]}"


async def until_idle(engine: Engine) -> None:
    """Return once every task of such runs is final."""
    changed = asyncio.Event()
    forget = engine.store.on_hint("ended", changed.set)
    try:
        while await engine.store.read(_busy, queue_of(engine)):
            changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await changed.wait()
    finally:
        forget()


def _busy(tx: Transaction, queue: str) -> bool:
    return any(row.queue == queue for row in workers.queue_depths(tx))
