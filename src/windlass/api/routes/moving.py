"""The mark of a store that goes on elsewhere: set by `db copy` through the server beside which it works; taken away."""

from __future__ import annotations

from typing import Any, Final

from windlass.api.message import Answer, Request
from windlass.api.routes.shared import ROOT
from windlass.api.table import Body, Route, closed
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.errors import Conflict
from windlass.store.moved import Move, find_move, forget_move, note_move
from windlass.store.transaction import Transaction

_PROPERTIES: Final[dict[str, Any]] = {
    "to": {"type": ["string", "null"], "maxLength": 2000},
    "whole": {"type": "boolean"},
}


async def set_moved(engine: Engine, request: Request) -> Answer:
    """Mark the store as moved, or as here again; return where it had gone."""
    to, whole = request.data["to"], request.data.get("whole", True)

    def unit(tx: Transaction) -> tuple[Move | None, Move | None]:
        before = find_move(tx)
        note(tx, "store.moved", to=to, whole=whole, was=None if before is None else before.to)
        if to is not None:
            return before, note_move(tx, to, whole=whole)
        if before is None:
            raise Conflict(
                "This store was not moved; name the one that was, with WINDLASS_DATABASE_URL=sqlite:///FILE, to use "
                "that again."
            )
        forget_move(tx)
        return before, None

    before, now = await engine.store.run(unit)
    engine.store.moved = None if now is None else now.sentence
    return Answer(body={"before": None if before is None else before.to, "to": to})


ROUTES: Final = (
    Route(
        method="POST",
        path=f"{ROOT}/store/moved",
        permission="administer",
        handler=set_moved,
        changes=True,
        summary="Mark the store as moved to another database, or as here again.",
        body=Body(schema=closed(_PROPERTIES, "to")),
        when_moved=True,
    ),
)
