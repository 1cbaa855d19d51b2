"""A world that can be let go of and opened again, on each kind of store that keeps anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.oracle.world import World

if TYPE_CHECKING:
    from tests.fixtures.postgres import PostgresServer


@asynccontextmanager
async def kept_in(request: pytest.FixtureRequest, kind: str, folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Give a world that can be let go of and opened again: in a file below `folder`, or on a server."""
    request.node.user_properties.append(("store", kind))
    path = str(folder / "windlass.db")
    async with AsyncExitStack() as stack:
        if kind == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres")
            name = await server.made()
            stack.push_async_callback(server.drop, name)
            path = server.url(name)
        found = World(path, folder, settings=settings)
        stack.push_async_callback(found.close)
        yield found
