"""Events from outside: checked, stored, and told to whoever waits for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from windlass.engine.auditing.noting import note
from windlass.engine.book import to_json
from windlass.engine.engine import Engine
from windlass.engine.shapes import event_shape
from windlass.errors import LimitExceeded, UserError
from windlass.model.event import Event
from windlass.model.event_wait import LONGEST_NAME, OWN, outside_type
from windlass.settings import is_project
from windlass.store.events import told_outside
from windlass.store.transaction import Transaction

#: Most bytes of what an event says: a step that waited for it gives it on as an output.
MOST_DATA: Final = 48 * 1024


async def send_event(
    engine: Engine, project: str, name: str, data: Mapping[str, Any], *, source: str = ""
) -> dict[str, Any]:
    """Store an event of type `name` from outside and return it; what waits for it in the project goes on.

    Raises UserError where its type or source cannot be one, LimitExceeded where it says too much,
    NoRoom where the store has none for it.
    """
    wrong = outside_type(name)
    if wrong is not None:
        raise UserError(f"{wrong}.")
    if len(source) > LONGEST_NAME or not source.isprintable() or source == OWN:
        raise UserError(f'The source of an event has at most {LONGEST_NAME} characters, and is not "{OWN}".')
    if not is_project(project):
        raise UserError(f'"{project[:80]}" is no name of a project: an event belongs to one.')
    said = {"project": project, "source": source, "data": dict(data)}
    try:
        size = len(orjson.dumps(said["data"]))
    except (TypeError, ValueError):
        raise UserError("The data of an event is JSON: texts, numbers, booleans, lists and objects.") from None
    if size > MOST_DATA:
        raise LimitExceeded("Bytes of the data of an event", size, MOST_DATA)
    return event_shape(await engine.store.run(_store, engine, name, said))


def _store(tx: Transaction, engine: Engine, name: str, said: Mapping[str, Any]) -> Event:
    engine.room.require(urgent=True)  # runs that were accepted may wait for it, and it is small
    told = told_outside(tx, name, to_json(said))
    note(tx, "event.send", f"Event/{name}", project=said["project"], source=said["source"])
    return Event(told << 20, name, None, None, tx.now, said)
