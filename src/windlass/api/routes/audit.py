"""The audit: who did what, and whether its chain holds."""

from __future__ import annotations

import re
from typing import Final

from windlass.api.message import Answer, Request
from windlass.api.query import Query
from windlass.api.routes.shared import PAGE, ROOT, page
from windlass.api.table import Route
from windlass.engine.auditing.verifying import chain_page, list_entries, verify
from windlass.engine.engine import Engine
from windlass.errors import UserError
from windlass.store.audit import AuditFilter

_ANCHOR: Final = re.compile(r"([0-9]{1,18}):([0-9a-fA-F]{64})")


async def get_all(engine: Engine, request: Request) -> Answer:
    """List entries."""
    query = request.query
    wanted = AuditFilter(
        project=query.get("project"),
        actor=query.get("actor"),
        action=query.get("action"),
        outcome=query.get("outcome"),
        since=query.get("since"),
        until=query.get("until"),
        limit=query["limit"],
    )
    return page(*await list_entries(engine, wanted, query.get("cursor")))


async def get_verification(engine: Engine, request: Request) -> Answer:
    """Go along the chain."""
    anchors = []
    for text in request.query.get("anchor", ()):
        found = _ANCHOR.fullmatch(text)
        if found is None:
            raise UserError(f'"{text[:80]}" is no anchor: it is SEQ:CODE, as `windlass audit verify` prints the end.')
        anchors.append((int(found[1]), found[2]))
    return Answer(body=await verify(engine, anchors))


async def get_chain(engine: Engine, request: Request) -> Answer:
    """Return entries with their codes."""
    return Answer(body=await chain_page(engine, request.query["after"], request.query["limit"]))


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/audit",
        permission="administer",
        handler=get_all,
        summary="List what people and tokens did, newest first.",
        query=(
            Query("project", "project that it was done in; all where not given", "project"),
            Query("actor", "who did it"),
            Query("action", "what was done, such as job.apply"),
            Query("outcome", "how it ended", choices=("done", "refused", "failed")),
            Query("since", "not before this time", "time"),
            Query("until", "before this time", "time"),
            *PAGE,
        ),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/audit/verify",
        permission="administer",
        handler=get_verification,
        summary="Go along the chain of all entries, and tell the first place that does not hold.",
        query=(Query("anchor", "an end that was noted before, SEQ:CODE; may be given several times", "texts"),),
    ),
    Route(
        method="GET",
        path=f"{ROOT}/audit/chain",
        permission="administer",
        handler=get_chain,
        summary="Return entries in the order of the chain, with their codes: what an export holds.",
        query=(
            Query("after", "number of the entry before the first one", "integer", default=0),
            Query("limit", "most entries", "integer", default=200, lowest=1, highest=1000),
        ),
    ),
)
