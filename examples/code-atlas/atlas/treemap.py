"""Areas in a rectangle, each as large as its weight and as square as can be (Bruls, Huizing and van Wijk)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, margin: float, top: float) -> Area:
        """Return the rectangle without a margin, which is `top` at the top."""
        return Area(self.x + margin, self.y + top, max(self.width - 2 * margin, 0), max(self.height - margin - top, 0))


def areas(weights: Mapping[str, float], within: Area) -> dict[str, Area]:
    """Return the area of each name in `weights`, whose values are above 0; the largest one is at the top left."""
    scale = within.width * within.height / (sum(weights.values()) or 1)
    waiting = sorted(((weight * scale, name) for name, weight in weights.items()), reverse=True)
    found: dict[str, Area] = {}
    while waiting:
        side = min(within.width, within.height)
        number = 1
        while number < len(waiting) and _worst(waiting[: number + 1], side) <= _worst(waiting[:number], side):
            number += 1
        row, waiting = waiting[:number], waiting[number:]
        within = _place(row, within, found)
    return found


def _worst(row: Sequence[tuple[float, str]], side: float) -> float:
    """Return how far from a square the worst of `row` is, when they are laid along `side`."""
    total = sum(weight for weight, _ in row)
    if not total or not side:
        return float("inf")
    thick = total / side
    return max(max(thick * thick / weight, weight / (thick * thick)) for weight, _ in row if weight)


def _place(row: Sequence[tuple[float, str]], within: Area, found: dict[str, Area]) -> Area:
    """Lay `row` along the shorter side of `within`; return what is left of it."""
    total = sum(weight for weight, _ in row)
    upright = within.width >= within.height
    side = within.height if upright else within.width
    thick = total / side if side else 0
    at = 0.0
    for weight, name in row:
        length = weight / thick if thick else 0
        if upright:
            found[name] = Area(within.x, within.y + at, thick, length)
        else:
            found[name] = Area(within.x + at, within.y, length, thick)
        at += length
    if upright:
        return Area(within.x + thick, within.y, within.width - thick, within.height)
    return Area(within.x, within.y + thick, within.width, within.height - thick)
