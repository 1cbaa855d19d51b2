"""Rules on what a job may be called."""

from __future__ import annotations

from typing import Final

from windlass.model.manifest.draft import Draft, Findings, Found

#: Words that stand in the place of an alias in the paths of the API.
RESERVED: Final = frozenset({"health", "import", "export"})


def alias_is_free(draft: Draft) -> Findings:
    """No job may be called as a route is."""
    alias = draft.canonical.get("metadata", {}).get("alias")
    if alias in RESERVED:
        message = f'"{alias}" is a word of the API and cannot be an alias; choose another, such as {alias}-job'
        yield Found(("metadata", "alias"), message)


RULES = (alias_is_free,)
