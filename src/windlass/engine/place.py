"""What attempts need to know of where they run: it stands in the engine, and in a worker that is far from one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from windlass.engine.room import Room
    from windlass.engine.tracing import Tracer
    from windlass.model.catalog import StepCatalog
    from windlass.settings import Settings


class Place(Protocol):
    """Where attempts run."""

    @property
    def settings(self) -> Settings:
        """What bounds attempts: time-outs, quotas, the lease."""
        ...

    @property
    def catalog(self) -> StepCatalog:
        """What is known of step types."""
        ...

    @property
    def room(self) -> Room:
        """Room on the disks that attempts write to."""
        ...

    @property
    def tracer(self) -> Tracer | None:
        """What makes spans of runs, where somebody wants them."""
        ...
