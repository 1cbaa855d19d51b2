"""The metrics, at the root, where Prometheus looks for them."""

from __future__ import annotations

from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.table import Route
from windlass.engine.engine import Engine


async def get_metrics(engine: Engine, request: Request) -> Answer:
    """Return the metrics in the format that is asked for."""
    from windlass.engine.metrics.text import exposition  # noqa: PLC0415 - whom nobody scrapes needs no library for it

    figures = await engine.metrics.collect(engine.store, engine.settings, leads=engine.leads())
    body, media = exposition(figures, request.headers.get("accept", ""))
    return Answer(body=body, media=media)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/metrics",
        permission="view",
        handler=get_metrics,
        summary="Return the metrics as Prometheus reads them.",
        answers="text/plain",
    ),
)
