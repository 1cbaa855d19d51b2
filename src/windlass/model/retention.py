"""How long final runs stay, as decisions: which rule a run is under, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

#: Name of the label that `partition` of a policy and of a recipe speak of.
PARTITION = "partition"

Destination = Literal["archive", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """One rule; a run is under the first one that covers it, and under no other."""

    #: What it is called where its effects are told.
    name: str
    #: Microseconds after its end, or its return from the archive, at which a run leaves; None: age does not count.
    min_age: int | None
    #: A run leaves as soon as so many runs of its job are newer and final; None: their number does not count.
    keep: int | None = None
    to: Destination = "archive"
    #: What it covers; None and an empty set leave a field open.
    project: str | None = None
    jobs: frozenset[bytes] | None = None
    states: frozenset[str] = frozenset()
    partition: str | None = None

    def covers(self, run: FinalRun) -> bool:
        """Say whether a run is of the kind that this rule is about."""
        return (
            (self.project is None or self.project == run.project)
            and (self.jobs is None or run.job_id in self.jobs)
            and (not self.states or run.state in self.states)
            and (self.partition is None or self.partition == run.partition)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRun:
    """What of a run decides about its stay."""

    id: bytes
    project: str
    job_id: bytes
    state: str
    #: Its label `partition`; None without one.
    partition: str | None
    #: Microseconds since the epoch.
    finished_at: int


def rule_of(rules: Sequence[RetentionRule], run: FinalRun) -> RetentionRule | None:
    """Return the rule that a run is under: the first that covers it; None where nothing does."""
    return next((rule for rule in rules if rule.covers(run)), None)
