"""What is wrong with a store and its work, each as one sentence with what to do."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any, Literal

from windlass.clock import SECOND, micros, to_text
from windlass.engine.away import homes_in_trouble
from windlass.engine.dispatching import list_queues, maintenance, maintenance_sentence
from windlass.engine.engine import Engine
from windlass.engine.forgetting import needed_archives, trouble_of
from windlass.engine.health import Part, health
from windlass.engine.present import Present, duties_now, need_of, present
from windlass.engine.repairing import Trouble, troubles
from windlass.engine.sealing.rotating import check_keys
from windlass.engine.step_context import task_id
from windlass.errors import WindlassError
from windlass.ids import id_text
from windlass.store import stuck
from windlass.store.archive.in_database import URL as DATABASE
from windlass.store.archive.open import try_archive
from windlass.store.data_keys import all_keys
from windlass.store.sqlite import SQLITE_VERSION
from windlass.store.stuck import StuckTask
from windlass.store.transaction import Transaction

#: Most findings of one kind that are listed.
LIMIT = 20
#: Seconds after its time at which work counts as stuck.
PATIENCE = 60
#: Parts of which more is said than that they are unwell.
_SAID_APART = frozenset({"workers", "timer"})


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding."""

    level: Literal["ok", "warning", "error"]
    check: str
    message: str
    #: What `doctor --repair` does about it; None where it does nothing.
    repair: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"level": self.level, "check": self.check, "message": self.message, "repair": self.repair}


async def examine(engine: Engine, *, version: str) -> list[Diagnosis]:
    """Return everything that is to be said."""
    versions = Diagnosis(
        "ok", "versions", f"windlass {version}, Python {platform.python_version()}, SQLite {SQLITE_VERSION}"
    )
    return [
        versions,
        *(Diagnosis(one.level, one.check, one.message) for one in await engine.store.examine()),
        *(_of_part(part) for part in await health(engine) if part.status != "ok" and not _said_apart(part)),
        *await engine.store.read(_examine, engine),
        *(_of_trouble(trouble) for trouble in await troubles(engine)),
        *(_of_trouble(trouble) for trouble in await engine.store.read(homes_in_trouble, engine)),
        *await _archive(engine),
        *await engine.store.read(_keys, engine),
    ]


def _keys(tx: Transaction, engine: Engine) -> list[Diagnosis]:
    """Try the keys under which values are sealed, where any are."""
    if not all_keys(tx):
        return []
    try:
        check_keys(tx, engine)
    except WindlassError as error:
        return [Diagnosis("error", "keys", str(error))]
    return [Diagnosis("ok", "keys", f"what is sealed opens with the keys of {engine.keyring.masters().place}")]


async def _archive(engine: Engine) -> list[Diagnosis]:
    """Try the archive, where it lies outside of the database, and those that the settings named before."""
    url = engine.settings.archive_url
    former = await trouble_of(engine, await engine.store.read(needed_archives) - {url})
    found = [
        Diagnosis("error", "archive", f"what runs have in a former archive can be neither read nor removed now: {why}")
        for why in former.values()
    ]
    try:
        await try_archive(url, engine.store)
    except WindlassError as error:
        return [Diagnosis("error", "archive", str(error)), *found]
    trouble = await trouble_of(engine, {url})
    if trouble:
        return [Diagnosis("error", "archive", trouble[url]), *found]
    return found if url == DATABASE else [Diagnosis("ok", "archive", f"{url} can be written"), *found]


def _of_trouble(trouble: Trouble) -> Diagnosis:
    hint = "" if trouble.repair is None else f"; `windlass doctor --repair` {trouble.repair}"
    level: Literal["error", "warning"] = "error" if trouble.error else "warning"
    return Diagnosis(level, trouble.check, trouble.message + hint, trouble.repair)


def _said_apart(part: Part) -> bool:
    """Say whether more is said of a part elsewhere; that a disk is nearly full the command itself says."""
    return part.name in _SAID_APART or (part.name == "disk" and part.status != "down")


def _of_part(part: Part) -> Diagnosis:
    return Diagnosis("error" if part.status == "down" else "warning", part.name, part.message)


def _examine(tx: Transaction, engine: Engine) -> list[Diagnosis]:
    who = present(tx, engine)
    there = [worker for worker, _ in who.workers]
    found = [*_said(tx, engine), *_work(tx, engine, serving=bool(there)), *_routes(tx, who)]
    return [
        Diagnosis("ok", "owner", _who_works(engine, who)),
        *_server(who),
        *_duties(tx, engine, serving=bool(there)),
        *(found or [Diagnosis("ok", "work", "nothing is stuck")]),
    ]


def _who_works(engine: Engine, who: Present) -> str:
    if who.nobody is not None:
        return who.nobody
    there = [worker for worker, _ in who.workers if not worker.draining]
    if engine.alone:
        return f"process {', '.join(str(worker.pid) for worker in there)} owns the store and works"
    return f"{len(there)} at work: {', '.join(worker.name for worker in there[:LIMIT])}"


def _server(who: Present) -> list[Diagnosis]:
    """Say what is not done where workers are there, and no server."""
    if who.served or not who.workers:
        return []
    message = "no server is there, only workers: what waits for a time is not moved, nor what a lost worker held"
    return [Diagnosis("warning", "server", f"{message}; start `windlass up`")]


def _duties(tx: Transaction, engine: Engine, *, serving: bool) -> list[Diagnosis]:
    """Say who does what only one of several servers does."""
    duties = duties_now(tx, engine)
    by_holder: dict[tuple[str, str], list[str]] = {}
    for duty in duties:
        if not duty["lapsed"]:
            by_holder.setdefault((duty["holder"], duty["since"]), []).append(duty["name"])
    found = [
        Diagnosis("ok", "duties", f"{', '.join(names)}: done by {holder} since {since}")
        for (holder, since), names in sorted(by_holder.items())
    ]
    hint = "a server takes it within a third of a lease, look at the log of `windlass up`"
    for duty in duties if serving else ():
        if duty["lapsed"]:
            message = f"nobody does the duty of the {duty['name']} since {duty['until']}; {hint}"
            found.append(Diagnosis("warning", "duties", message))
    return found


def _said(tx: Transaction, engine: Engine) -> list[Diagnosis]:
    """Tell what somebody stopped on purpose."""
    said = maintenance(tx)
    hint = "`windlass maintenance off` ends it"
    told = maintenance_sentence(said)
    found = [Diagnosis("warning", "maintenance", f"{told[:1].lower()}{told[1:]}; {hint}")] if said["on"] else []
    for queue in list_queues(tx, engine):
        if queue["paused"] is not None:
            paused, name = queue["paused"], queue["name"]
            why = f" ({paused['why']})" if paused["why"] else ""
            text = f"queue {name} is paused since {paused['since']}, by {paused['by']}{why}"
            found.append(Diagnosis("warning", "queue", f"{text}; `windlass queue resume {name}` ends it"))
    return found


def _work(tx: Transaction, engine: Engine, *, serving: bool) -> list[Diagnosis]:
    found: list[Diagnosis] = []
    late = tx.now - PATIENCE * SECOND
    if serving:
        hint = "its service has stopped: look at the log of `windlass up`, and restart it"
        found += [_task("timer", row, hint) for row in stuck.overdue_tasks(tx, late, LIMIT)]
    # Without an owner no worker of an embedded store is alive, however fresh its last sign of life looks.
    silent = tx.now - micros(engine.settings.lease) - PATIENCE * SECOND if serving else tx.now
    hint = "its worker is gone: the next `windlass up` settles it"
    found += [_task("workers", row, hint) for row in stuck.abandoned_tasks(tx, silent, LIMIT)]
    hint = "this is a defect: please report it with `windlass run get --json`"
    found += [_task("graph", row, hint) for row in stuck.pendings_without_cause(tx, LIMIT)]
    found += [
        Diagnosis("error", "runs", f"run {id_text(run)} is {state} although all its tasks have ended; {hint}")
        for run, state in stuck.empty_runs(tx, LIMIT)
    ]
    return found


def _task(check: str, row: StuckTask, hint: str) -> Diagnosis:
    name = task_id(row.run_id, row.task)
    return Diagnosis("error", check, f"task {name} is {row.state} since {to_text(row.since)}; {hint}")


def _routes(tx: Transaction, who: Present) -> list[Diagnosis]:
    """Say which ready tasks no worker that is there will ever take."""
    found = []
    for route, queue, pool, labels, count, oldest in stuck.unserved_routes(tx):
        if who.taking(route):
            continue
        lack = who.lack(route, need_of(queue, pool, labels))
        tasks = "1 task waits" if count == 1 else f"{count} tasks wait"
        told = f"{tasks} since {to_text(oldest)} and nobody takes {'it' if count == 1 else 'them'} ({lack.need})"
        message = f"{told}; {lack.advice}"
        found.append(Diagnosis("warning", "queue", message))
    return found
