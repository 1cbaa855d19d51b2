"""Applications on every kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from windlass import Windlass

MakeApp = Callable[..., Any]


@pytest.fixture(params=["sqlite", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store that is not there yet; more kinds are added here."""
    request.node.user_properties.append(("store", request.param))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store/jobs.db"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep an application's files out of the home of whoever runs the tests."""
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))


@pytest.fixture
async def make_app(url: str) -> AsyncIterator[MakeApp]:
    """Return a coroutine function that opens an application on `url`; all are closed with the test."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> Windlass:
            return await stack.enter_async_context(Windlass(url, **{"workers": 4, **options}))

        yield make


@pytest.fixture
async def sdk(make_app: MakeApp) -> Windlass:
    """Return an open application."""
    app: Windlass = await make_app()
    return app
