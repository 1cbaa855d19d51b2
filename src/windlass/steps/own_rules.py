"""The rules of one's own that are installed: found by entry points, one function each."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Any, Final

from windlass.model.own_rules import OwnRules, unusable

LINT: Final = "windlass.lint"
PARAMETERS: Final = "windlass.parameters"


def load_rules(points: Iterable[EntryPoint]) -> tuple[OwnRules, dict[str, str]]:
    """Return the rules behind entry points, by name, and what is wrong with those that cannot be loaded."""
    found: dict[str, list[tuple[str, Any]]] = {LINT: [], PARAMETERS: []}
    broken: dict[str, str] = {}
    for point in sorted(points, key=lambda one: (one.group, one.name, one.value)):
        if point.group not in found:
            continue
        try:
            rule = point.load()
            if not callable(rule):
                raise TypeError("it is no function")  # noqa: TRY301 - told as any other reason
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plug-in may fail in any way
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            broken[f"rule {point.name}"] = f"it cannot be loaded, and nothing is accepted without it: {why}"
            rule = unusable(point.name, why)
        found[point.group].append((point.name, rule))
    return OwnRules(tuple(found[LINT]), tuple(found[PARAMETERS])), broken
