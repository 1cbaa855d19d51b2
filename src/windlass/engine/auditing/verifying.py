"""The audit shown, and its chain gone through from the first entry to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from windlass.clock import to_text
from windlass.engine.engine import Engine
from windlass.errors import UserError, WindlassError
from windlass.model.audit import BEGINNING, NO_KEY, AuditEntry, Break, first_break
from windlass.store import audit
from windlass.store.audit import AuditFilter, Head
from windlass.store.transaction import Transaction

#: Entries that are looked at in one unit of work.
_PAGE: Final = 1000


@dataclass(slots=True)
class _Walk:
    """How far the chain was gone along."""

    seq: int = 0
    code: bytes = BEGINNING
    #: Entries under no key.
    unkeyed: int = 0
    broken: Break | None = None


async def list_entries(
    engine: Engine, wanted: AuditFilter, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of entries, newest first, and the cursor of the next one."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):  # noqa: PLR2004 - 64 bit
        raise UserError(f'"{cursor[:80]}" is no cursor of this list: take it from the page before.')
    rows = await engine.store.read(audit.find_entries, wanted, None if cursor is None else int(cursor))
    last = str(rows[-1].seq) if len(rows) == wanted.limit else None
    return [entry_shape(row) for row in rows], last


async def verify(engine: Engine, anchors: Sequence[tuple[int, str]] = ()) -> dict[str, Any]:
    """Go along the whole chain; return how many entries hold, and the first place that does not.

    `anchors` are ends that were noted before, `(seq, code in hex)`: an entry that is another one now, or is gone,
    breaks the chain although what is left holds together.
    """
    walk = _Walk()
    wanted = {seq: code.lower() for seq, code in anchors}
    end = await engine.store.read(audit.head)
    while walk.broken is None and await engine.store.read(_along, engine, walk, wanted):
        pass
    if walk.broken is None:
        walk.broken = _end(walk, end, max(wanted, default=0))
    return {
        "entries": walk.seq,
        "withoutKey": walk.unkeyed,
        "head": {"seq": walk.seq, "code": walk.code.hex()},
        "broken": None if walk.broken is None else {"seq": walk.broken.seq, "why": walk.broken.why},
    }


def _end(walk: _Walk, end: Head, anchored: int) -> Break | None:
    """Return what is wrong with the end of a chain that holds; entries may have come behind it meanwhile."""
    last = max(end.seq, anchored)
    if walk.seq < last:
        return Break(walk.seq + 1, f"the entries {walk.seq + 1} to {last} are gone")
    if walk.seq == end.seq and walk.code != end.code:
        return Break(walk.seq, "it is not the entry that was written last")
    return None


def _along(tx: Transaction, engine: Engine, walk: _Walk, anchors: dict[int, str]) -> bool:
    """Go along one page of the chain; False at its end."""
    page = audit.entries_after(tx, walk.seq, _PAGE)
    keys: dict[int, bytes] = {}
    for epoch in {entry.epoch for entry, _ in page}:
        try:
            keys[epoch] = engine.audit.key(tx, epoch)
        except WindlassError:
            continue  # told as the break that it is
    walk.unkeyed += sum(keys.get(entry.epoch) == NO_KEY for entry, _ in page)
    for step in first_break(page, keys, seq=walk.seq, code=walk.code):
        if isinstance(step, Break):
            walk.broken = step
            return False
        walk.seq, walk.code = step
        if walk.seq in anchors and anchors[walk.seq] != walk.code.hex():
            walk.broken = Break(walk.seq, "it is another entry than the anchor says")
            return False
    return bool(page)


async def chain_page(engine: Engine, after: int, limit: int) -> dict[str, Any]:
    """Return entries in the order of the chain, each as it was chained and with its code in hex."""
    rows = await engine.store.read(audit.entries_after, after, limit)
    items = [{**asdict(entry), "code": code.hex()} for entry, code in rows]
    return {"items": items, "next": rows[-1][0].seq if len(rows) == limit else None}


def entry_shape(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as JSON."""
    return {
        "seq": entry.seq,
        "at": to_text(entry.at),
        "actor": entry.actor,
        "actorKind": entry.actor_kind,
        "address": entry.address,
        "project": entry.project,
        "action": entry.action,
        "object": entry.object,
        "before": entry.before,
        "after": entry.after,
        "outcome": entry.outcome,
        "request": entry.request,
        "data": None if entry.data is None else orjson.loads(entry.data),
    }
