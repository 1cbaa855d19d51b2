"""Figures of the archive: what sweeps did, and what it holds."""

from __future__ import annotations

from windlass.clock import SECOND
from windlass.engine.metrics.metrics import Source
from windlass.engine.swept import SweepTotals


def archive_figures(swept: SweepTotals) -> Source:
    """Return the figures of the sweeps of this process; what the archive holds is that of the last one."""

    def figures() -> dict[str, dict[tuple[str, ...], float]]:
        total = swept.total
        found: dict[str, dict[tuple[str, ...], float]] = {
            "windlass_archive_runs_total": {
                ("archived",): float(total.archived),
                ("deleted",): float(total.deleted),
                ("failed",): float(total.failed),
                ("ended",): float(total.ended),
            },
            "windlass_archive_bytes_total": {(): float(total.size)},
            "windlass_archive_sweeps_total": {("done",): float(swept.done), ("broken",): float(swept.broken)},
        }
        if swept.last_success is not None:
            found["windlass_archive_last_success_timestamp_seconds"] = {(): swept.last_success / SECOND}
        if swept.held is not None:
            found["windlass_archive_runs"] = {(): float(swept.held.runs)}
            found["windlass_archive_bytes"] = {(): float(swept.held.size)}
            found["windlass_archive_files"] = {(): float(swept.held.files)}
            found["windlass_archive_file_bytes"] = {(): float(swept.held.file_size)}
            if swept.held.oldest is not None:
                found["windlass_archive_oldest_timestamp_seconds"] = {(): swept.held.oldest / SECOND}
        if swept.oldest is not None:
            found["windlass_retention_oldest_timestamp_seconds"] = {(): swept.oldest / SECOND}
        return found

    return figures
