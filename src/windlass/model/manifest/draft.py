"""A job between reading and acceptance: what the rules look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.finding import Level, Within
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.problem import About, Path


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be read of a job. It may be incomplete: a rule takes nothing for granted."""

    canonical: Mapping[str, Any]
    #: The index in the file of each canonical step.
    numbers: Sequence[int]
    catalog: StepCatalog
    limits: Limits
    #: The canonical content as JSON: a quick look tells whether a word occurs at all.
    json: bytes

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """The canonical steps."""
        steps: Sequence[Mapping[str, Any]] = self.canonical["steps"]
        return steps


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule says about a path of the canonical content."""

    path: Path
    message: str
    level: Level = "error"
    about: About = "value"
    #: Where in the text at `path`, where that is known.
    within: Within | None = None


Findings = Iterable[Found]
