"""Files that runs kept: listed, and fetched."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from windlass.api.message import Answer, Request, Stream
from windlass.api.query import Query
from windlass.api.routes.runs import run_id_of
from windlass.api.routes.shared import ROOT, page
from windlass.api.table import Route
from windlass.clock import to_text
from windlass.engine.away import place_of
from windlass.engine.engine import Engine
from windlass.engine.moving_files import artifacts_folder
from windlass.engine.reading import list_artifacts
from windlass.errors import CorruptStore, NotFound, Unavailable, UserError
from windlass.store.artifacts import worker_of
from windlass.store.file_homes import FileHome, homes

_CHUNK: Final = 256 * 1024
_MEDIA: Final = "application/octet-stream"


async def get_artifacts(engine: Engine, request: Request) -> Answer:
    """List the files of a run."""
    found = await list_artifacts(engine, await run_id_of(engine, request))
    return page([_shown(one) for one in found], None)


async def get_artifact(engine: Engine, request: Request) -> Stream:
    """Return the bytes of a file, as something that no browser shows."""
    name, run_id = request.params["name"], await run_id_of(engine, request)
    found = [
        one
        for one in await list_artifacts(engine, run_id)
        if one["name"] == name
        and request.query.get("step") in {None, one["step"]}
        and request.query.get("key") in {None, one["key"]}
    ]
    if not found:
        raise NotFound(f'Run {request.params["run"]} kept no file "{name}".')
    if len(found) > 1:
        steps = ", ".join(f"{one['step']}[{one['key']}]" if one["key"] else one["step"] for one in found[:20])
        raise UserError(f'Several tasks kept a file "{name}": {steps}; name the step, and the key where it has one.')
    wanted = found[0]
    try:
        file = await asyncio.to_thread(_open, artifacts_folder(engine), wanted["path"], wanted["size"])
    except FileNotFoundError:
        raise Unavailable(await _who_has_it(engine, run_id, wanted)) from None
    basename = quote(name.rpartition("/")[2], safe="")
    headers = {
        "content-length": str(found[0]["size"]),
        "content-disposition": f"attachment; filename*=UTF-8''{basename}",
        "etag": f'"{found[0]["sha256"]}"',
    }
    return Stream(chunks=_chunks(file, wanted["sha256"]), media=_MEDIA, headers=headers)


def _shown(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file as callers see it: where its bytes are is ours alone."""
    return {name: value for name, value in artifact.items() if name != "path"}


async def _who_has_it(engine: Engine, run_id: bytes, artifact: Mapping[str, Any]) -> str:
    """Say of a file that is not here where it may be."""
    gone = f'The bytes of "{artifact["name"]}" are gone from {artifacts_folder(engine)}'
    if engine.alone:
        return f"{gone}: `windlass db restore` brings those back that a backup has."
    home = artifact["home"]
    if home is not None and home == engine.home:
        return f"{gone}."
    known = None if home is None else (await engine.store.read(homes)).get(home)
    if known is not None:
        return _where_it_lies(artifact["name"], known)
    if home is not None:
        return f'The bytes of "{artifact["name"]}" lay in the home {home}, which nobody has seen for long.'
    worker = await engine.store.read(worker_of, run_id, artifact["path"])
    return (
        f'The bytes of "{artifact["name"]}" are not on this machine: worker {worker} kept them in its own home. '
        "Servers and workers find each other's files where WINDLASS_FILES_URL names a folder that all of them have."
    )


def _where_it_lies(name: str, home: FileHome) -> str:
    lies = f'The bytes of "{name}" lie in {place_of(home)}'
    if home.forgotten_at is not None:
        return f"{lies}, which was given up at {to_text(home.forgotten_at)}: start its server again to have them back."
    return (
        f"{lies}, last worked in at {to_text(home.seen_at)}, and this server has no way there: fetch them through a "
        "server in that home. Servers and workers find each other's files where WINDLASS_FILES_URL names a folder that "
        "all of them have."
    )


def _open(folder: Path, path: str, size: int) -> int:
    """Open a kept file. Raises FileNotFoundError where it is not there, Unavailable where it is not what it was."""
    try:
        descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"The bytes of the file cannot be read: {error.strerror}.") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        os.close(descriptor)
        raise Unavailable("What lies in place of the file is not what the run kept.")
    return descriptor


async def _chunks(descriptor: int, sha256: str) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, the last of them only where all of them are what they were."""
    digest, last = hashlib.sha256(), b""
    try:
        while chunk := await asyncio.to_thread(os.read, descriptor, _CHUNK):
            digest.update(chunk)
            if last:
                yield last
            last = chunk
        if digest.hexdigest() != sha256:
            raise CorruptStore("A file is not what its run kept.")
        if last:
            yield last
    finally:
        os.close(descriptor)


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/runs/{{run}}/artifacts",
        permission="view",
        handler=get_artifacts,
        summary="List the files that a run kept.",
    ),
    Route(
        method="GET",
        path=f"{ROOT}/runs/{{run}}/artifacts/{{name}}",
        permission="view",
        handler=get_artifact,
        summary="Return the bytes of a file that a run kept; slashes of its name are encoded.",
        query=(Query("step", "step that kept it"), Query("key", "matrix cell or target that kept it")),
        answers=_MEDIA,
    ),
)
