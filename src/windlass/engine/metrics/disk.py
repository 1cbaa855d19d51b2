"""Figures of the room on the disks of a store."""

from __future__ import annotations

from windlass.engine.metrics.metrics import Source
from windlass.engine.room import Room


def disk_figures(room: Room) -> Source:
    """Return the figures of one room, as they are at that moment; nothing of a store in memory."""

    def figures() -> dict[str, dict[tuple[str, ...], float]]:
        if not room.folders:
            return {}
        short, disks = room.shortage(), room.disks()
        found: dict[str, dict[tuple[str, ...], float]] = {
            "windlass_disk_short": {
                (what,): float(short is not None and short.what == what) for what in ("disk", "quota")
            }
        }
        if disks:
            found["windlass_disk_free_bytes"] = {(): float(min(disk.free for disk in disks))}
            found["windlass_disk_reserve_bytes"] = {(): float(max(disk.kept(room.reserve) for disk in disks))}
        if room.quota is not None:
            found["windlass_disk_used_bytes"] = {(): float(room.used)}
            found["windlass_disk_quota_bytes"] = {(): float(room.quota)}
        return found

    return figures
