"""Steps of the job invoices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


def add_up(day: date, prices: list[Decimal], progress: Callable[[float, str], object]) -> dict[str, object]:
    """Return the total of `prices` and when it is due: 14 days after `day`."""
    total = Decimal(0)
    for number, price in enumerate(prices, 1):
        total += price
        progress(100 * number / len(prices), f"{number} of {len(prices)}")
    print(f"{len(prices)} prices of {day:%A}, {day:%d %B}")
    return {"total": str(total), "due": date.fromordinal(day.toordinal() + 14).isoformat()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What `Check` is given."""

    total: Decimal
    most: Decimal


class Check:
    """Refuses totals that are too high."""

    def execute(self, context: Asked) -> dict[str, bool]:
        """Return whether the total is fine; raises ValueError where it is too high."""
        if context.total > context.most:
            raise ValueError(f"{context.total} is more than {context.most}")
        return {"fine": True}
