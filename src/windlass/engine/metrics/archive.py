"""Figures of what the archiver did."""

from __future__ import annotations

from windlass.engine.metrics.metrics import Source
from windlass.engine.services.archiver import Archiver


def archive_figures(archiver: Archiver) -> Source:
    """Return the figures of an archiver, which counts since it was made."""

    def figures() -> dict[str, dict[tuple[str, ...], float]]:
        total = archiver.total
        return {
            "windlass_archive_runs_total": {
                ("archived",): float(total.archived),
                ("deleted",): float(total.deleted),
                ("failed",): float(total.failed),
                ("ended",): float(total.ended),
            },
            "windlass_archive_bytes_total": {(): float(total.size)},
        }

    return figures
