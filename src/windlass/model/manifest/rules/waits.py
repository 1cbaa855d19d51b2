"""Rules on steps that wait for events."""

from __future__ import annotations

from windlass.errors import UserError
from windlass.model.event_types import read_event_types
from windlass.model.event_wait import outside_type
from windlass.model.manifest.draft import Draft, Findings, Found


def event_types_can_be(draft: Draft) -> Findings:
    """See that there can be events of the type that is waited for: sent, Windlass's own, or by a glob."""
    for number, step in enumerate(draft.steps):
        event = step.get("config", {}).get("event") if step.get("type") == "wait" else None
        wanted = event.get("type") if isinstance(event, dict) else None
        if not isinstance(wanted, str) or "${{" in wanted:
            continue
        try:
            read_event_types([wanted])
        except UserError as error:
            sentence = (None if wanted.startswith(("run.", "task.")) else outside_type(wanted)) or str(error)
            yield Found(("steps", number, "config", "event", "type"), sentence[0].lower() + sentence[1:].rstrip("."))


RULES = (event_types_can_be,)
