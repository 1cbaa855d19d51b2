"""All rules over one draft."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.problem import Notes
from windlass.model.manifest.rules import (
    children,
    expressions,
    graph,
    in_force,
    names,
    parameters,
    rates,
    requires,
    secrets,
    steps,
    triggers,
    waits,
)

Rule = Callable[[Draft], Findings]

#: Every rule that is more than what a single field may hold.
RULES: Sequence[Rule] = (
    *names.RULES,
    *graph.RULES,
    *steps.RULES,
    *children.RULES,
    *waits.RULES,
    *rates.RULES,
    *requires.RULES,
    *triggers.RULES,
    *parameters.RULES,
    *secrets.RULES,
    *expressions.RULES,
    *in_force.RULES,
)


def lint(draft: Draft, notes: Notes, rules: Sequence[Rule] = RULES) -> None:
    """Add to `notes` what `rules` find, at the places where it was written; and plug-ins, where nothing is wrong."""
    for rule in rules:
        for found in rule(draft):
            _note(draft, notes, found)
    if draft.catalog.rules.lint and not notes.errors:
        for said in draft.catalog.rules.on_job(draft.canonical):
            _note(draft, notes, Found(said.path, said.message, said.level))


def _note(draft: Draft, notes: Notes, found: Found) -> None:
    path = found.path
    if path[:1] == ("steps",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(draft.numbers):
        path = ("steps", draft.numbers[path[1]], *path[2:])
    if found.level == "error":
        notes.error(path, found.message, found.about, found.within)
    else:
        notes.warning(path, found.message, found.about, found.within)
