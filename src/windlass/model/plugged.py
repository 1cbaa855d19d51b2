"""Which steps of a job only a worker can run that has a plug-in installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from windlass.model.catalog import BUILT_IN
from windlass.model.definition import Job
from windlass.model.steptype import StepSpec

#: Step types that every worker has.
SHIPPED: Final = frozenset(spec.name for spec in BUILT_IN if spec.in_force)
_NAMED: Final = frozenset(spec.name for spec in BUILT_IN)


def plugged_of(job: Job) -> Sequence[str | None] | None:
    """Return the type of each step that is not shipped; None where all are."""
    found = [None if step.type in SHIPPED else step.type for step in job.steps]
    return found if any(found) else None


def wanted_types(plugged: Sequence[str | None], known: Mapping[str, StepSpec]) -> Sequence[str | None]:
    """Return of such types those that a worker must have.

    A type of Windlass itself that is not in force fails with its reason wherever it is run, unless a plug-in among
    the `known` types puts it in force.
    """
    return [name if name is None or name not in _NAMED or known[name].in_force else None for name in plugged]
