"""Rules on what is known but does nothing yet."""

from __future__ import annotations

from windlass.model.in_force import not_acted_on, not_in_force
from windlass.model.manifest.draft import Draft, Findings, Found


def everything_is_in_force(draft: Draft) -> Findings:
    """Warn of what the document asks for and no engine does yet, each thing once."""
    for path, name in not_in_force(draft.canonical, draft.catalog):
        yield Found(path, f"not yet in force: {name}", "warning", "key")


def everything_is_acted_on(draft: Draft) -> Findings:
    """Warn of the originals' fields that have no meaning here, each once."""
    for path, name in not_acted_on(draft.canonical):
        yield Found(path, f"known and not acted on: {name}", "warning", "key")


RULES = (everything_is_in_force, everything_is_acted_on)
