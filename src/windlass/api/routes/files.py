"""Files that runs kept: listed, and fetched."""

from __future__ import annotations

import asyncio
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
from windlass.engine.engine import Engine
from windlass.engine.node import prepare_folders
from windlass.engine.reading import list_artifacts
from windlass.errors import NotFound, Unavailable, UserError

_CHUNK: Final = 256 * 1024
_MEDIA: Final = "application/octet-stream"


async def get_artifacts(engine: Engine, request: Request) -> Answer:
    """List the files of a run."""
    found = await list_artifacts(engine, await run_id_of(engine, request))
    return page([_shown(one) for one in found], None)


async def get_artifact(engine: Engine, request: Request) -> Stream:
    """Return the bytes of a file, as something that no browser shows."""
    name = request.params["name"]
    found = [
        one
        for one in await list_artifacts(engine, await run_id_of(engine, request))
        if one["name"] == name
        and request.query.get("step") in {None, one["step"]}
        and request.query.get("key") in {None, one["key"]}
    ]
    if not found:
        raise NotFound(f'Run {request.params["run"]} kept no file "{name}".')
    if len(found) > 1:
        steps = ", ".join(f"{one['step']}[{one['key']}]" if one["key"] else one["step"] for one in found[:20])
        raise UserError(f'Several tasks kept a file "{name}": {steps}; name the step, and the key where it has one.')
    _, artifacts = prepare_folders(engine.settings.home)
    file = await asyncio.to_thread(_open, artifacts, found[0]["path"])
    basename = quote(name.rpartition("/")[2], safe="")
    headers = {
        "content-length": str(found[0]["size"]),
        "content-disposition": f"attachment; filename*=UTF-8''{basename}",
        "etag": f'"{found[0]["sha256"]}"',
    }
    return Stream(chunks=_chunks(file), media=_MEDIA, headers=headers)


def _shown(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file as callers see it: where its bytes are is ours alone."""
    return {name: value for name, value in artifact.items() if name != "path"}


def _open(folder: Path, path: str) -> int:
    try:
        descriptor = os.open(folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Unavailable(f"The bytes of the file cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unavailable("What lies in place of the file is none.")
    return descriptor


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(os.read, descriptor, _CHUNK):
            yield chunk
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
