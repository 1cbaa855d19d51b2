"""A worker on a database that it shares with servers and other workers: no server stands between."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from windlass.engine.compiled import JobCache
from windlass.engine.engine import Engine
from windlass.engine.files_folder import settle_files
from windlass.engine.heard_clock import HeardClock
from windlass.engine.queues.store import StoreQueue
from windlass.engine.room import Room
from windlass.engine.secrets.known import secrets_of
from windlass.engine.service import Service
from windlass.engine.services.courier import Courier
from windlass.engine.services.custodian import Custodian
from windlass.engine.services.purser import Purser
from windlass.engine.working_folder import take_folder
from windlass.ids import Uuid7Source
from windlass.model.manifest.canonical import to_job
from windlass.model.thrift import UNKNOWN, Thrift
from windlass.store.migrations import HEAD
from windlass.store.open import open_shared
from windlass.store.programs import Program
from windlass.working.database import database_answers
from windlass.working.workplace import Post, patiently, until_asked, working

if TYPE_CHECKING:
    from windlass.store.place import ServerPlace
    from windlass.store.postgres.store import PostgresStore


async def work_on_database(post: Post, server: ServerPlace) -> None:
    """Work on the database of `server`, with duties of nobody else's; see `work`."""
    settings = post.settings
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(take_folder(settings.home / "workers"))
        if not await database_answers(server, settings, post.asked):
            return
        opened = await patiently(post, lambda: open_shared(server.of_worker()))
        if opened is None:
            return
        await stack.enter_async_context(opened)
        store = cast("PostgresStore", opened.store)
        artifacts = settings.files / "artifacts"
        engine = Engine(
            store=store,
            ids=Uuid7Source(),
            settings=settings,
            jobs=JobCache(to_job),
            catalog=post.types.catalog(),
            room=Room(tuple(dict.fromkeys((settings.home, settings.files))), settings.disk_reserve, None),
            alone=False,
            leads=lambda: False,
        )
        store.keep_leases(settings.lease)
        if await patiently(post, lambda: _settled(engine)) is None:
            return
        artifacts.mkdir(mode=0o700, exist_ok=True)
        clock = HeardClock()
        queue = StoreQueue(engine, post.face, artifacts=artifacts, hear=clock.hear_now)
        program = Program(uuid4().hex, post.face.version, HEAD)
        purser = Purser(engine, lambda: queue.worker_id, program, lambda kept: _spare(store, kept))
        stack.push_async_callback(purser.leave)
        _spare(store, UNKNOWN)
        worker = await stack.enter_async_context(
            working(
                post,
                engine,
                queue,
                secrets_of(engine, os.environ),
                folder,
                clock=clock,
                artifacts=artifacts,
                store=opened.id,
                poll=lambda: purser.kept.poll,
                shared=True,
            )
        )
        if await patiently(post, lambda: _registered(queue, post.face.slots)) is None:
            return
        for hint in ("ready", "stop"):
            store.on_hint(hint, worker.hint)
        await worker.start()
        courier = Service(Courier(engine))
        store.on_hint("errands", courier.hint)
        for service in (
            Service(purser),
            Service(Custodian(engine, lambda: (queue.worker_id,), worker.unknown)),
            *([] if engine.home is None else [courier]),
        ):
            await service.start()
            stack.push_async_callback(service.stop)
        await until_asked(post, worker, lambda: None)


async def _settled(engine: Engine) -> bool:
    await settle_files(engine)
    return True


async def _registered(queue: StoreQueue, slots: int) -> int:
    await queue.register(slots)
    return queue.worker_id


def _spare(store: PostgresStore, kept: Thrift) -> None:
    store.spare(linger=kept.linger, listens=kept.listens)
