"""What users were told of runs: accepted, asked to be deleted, gone, queued again."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Told:
    """All that was answered; runs by their ids."""

    #: Runs that were answered for, in order.
    accepted: list[bytes] = field(default_factory=list)
    #: The names of their jobs.
    jobs: dict[bytes, str] = field(default_factory=dict)
    #: Runs that somebody asked to be deleted, whether that was answered or not.
    wished: set[bytes] = field(default_factory=set)
    #: Those of them that will be deleted: that was answered.
    promised: set[bytes] = field(default_factory=set)
    #: Those that are deleted: that was answered.
    gone: set[bytes] = field(default_factory=set)
    #: The run that the dead letters of a run were queued again as.
    requeued: dict[bytes, bytes] = field(default_factory=dict)
    #: Jobs whose final runs are deleted by a policy, without anybody asking.
    passing: frozenset[str] = frozenset()

    def may_be_gone(self, run_id: bytes) -> bool:
        """Say whether nobody may count on a run."""
        return run_id in self.wished or self.jobs.get(run_id) in self.passing

    def copy(self) -> Told:
        """Return what is told by now."""
        return Told(
            list(self.accepted), dict(self.jobs), set(self.wished), set(self.promised), set(self.gone),
            dict(self.requeued), self.passing,
        )  # fmt: skip

    def figures(self) -> dict[str, int]:
        """Return how much was told of each kind."""
        found = {"accepted": self.accepted, "to delete": self.promised, "gone": self.gone, "requeued": self.requeued}
        return {name: len(runs) for name, runs in found.items()}
