"""What a use case says of what it does, in the unit of work that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from windlass.model.audit import Outcome
from windlass.store.actor import ACTOR, Actor
from windlass.store.audit import Note
from windlass.store.transaction import Transaction

if TYPE_CHECKING:
    from windlass.engine.engine import Engine


def note(
    tx: Transaction,
    action: str,
    object_: str | None = None,
    *,
    project: str | None = None,
    before: str | None = None,
    after: str | None = None,
    **data: Any,
) -> None:
    """Note that whoever asked for this unit did something; nothing where nobody asked, for Windlass does it by itself.

    `action` is noun and verb, `object_` kind and name, `data` further facts, none of them a secret.
    """
    if tx.actor is not None:
        tx.actor.noted += 1
        tx.notes.append(note_of(tx.actor, action, object_, project=project, before=before, after=after, data=data))


def note_of(
    actor: Actor,
    action: str,
    object_: str | None = None,
    *,
    project: str | None = None,
    before: str | None = None,
    after: str | None = None,
    outcome: Outcome = "done",
    data: dict[str, Any] | None = None,
) -> Note:
    """Return what there is to say of what an actor did, or was refused."""
    known = {name: value for name, value in (data or {}).items() if value is not None}
    return Note(
        actor=actor.name,
        actor_kind=actor.kind,
        address=actor.address,
        request=actor.request,
        action=action,
        project=project,
        object=object_,
        before=before,
        after=after,
        outcome=outcome,
        data=orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode() if known else None,
    )


async def say(engine: Engine, action: str, object_: str | None = None, **data: Any) -> None:
    """Note, in a unit of its own, that somebody begins what takes several; see `note`."""
    if ACTOR.get() is not None:
        await engine.store.run(_say, action, object_, data)


def _say(tx: Transaction, action: str, object_: str | None, data: dict[str, Any]) -> None:
    note(tx, action, object_, **data)
