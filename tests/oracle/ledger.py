"""The effect ledger: what steps did, in their own words, outside the database under test."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windlass.ids import parse_id
from windlass.supervisor.procfs import processes

EFFECTS: Final = Path(__file__).with_name("effects.sh")


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of the ledger."""

    run_id: bytes
    task: int
    attempt: int
    #: `start`, `end`, or `overlap` where an earlier attempt still lived.
    phase: str
    #: Seconds since the machine's start.
    at: float
    pid: int
    job: str
    #: The run that started its run, where the step was told.
    parent: bytes | None = None


class Ledger:
    """A file that steps append to."""

    def __init__(self, path: Path) -> None:
        """Begin with an empty one; what steps start in the background carries the ledger's token in its arguments."""
        self.path = path
        path.touch()
        self.token = str(path.stat().st_ino)

    def environment(self) -> dict[str, str]:
        """Return what the steps need to know."""
        return {"LEDGER": str(self.path), "EFFECTS": str(EFFECTS), "TOKEN": self.token}

    def size(self) -> int:
        """Return how many bytes were said so far."""
        return self.path.stat().st_size

    def read(self) -> list[Effect]:
        """Return all lines in order. A line is one write: none is torn."""
        return [_effect(line) for line in self.path.read_text().splitlines()]

    def problems(self) -> list[str]:
        """Return what no history may show, whatever the database says."""
        effects = self.read()
        starts = Counter((one.run_id, one.task, one.attempt) for one in effects if one.phase == "start")
        found = [
            f"O3 run {run_id.hex()}, task {task}: attempt {attempt} was started {count} times"
            for (run_id, task, attempt), count in starts.items()
            if count > 1
        ]
        found += [
            f"O4 run {one.run_id.hex()}, task {one.task}: attempt {one.attempt} began while an earlier one still lived"
            for one in effects
            if one.phase == "overlap"
        ]
        return found

    def living(self) -> dict[tuple[int, int], str]:
        """Return the processes that steps have started and that live: their commands by pid and start."""
        found = {}
        for one in processes().values():
            try:
                command = Path(f"/proc/{one.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = Path(f"/proc/{one.pid}/environ").read_bytes()
            except OSError:
                continue
            ours = f"98765.{self.token}" in command or f"LEDGER={self.path}\0".encode() in environment + b"\0"
            if ours and one.state not in "ZX":
                found[one.pid, one.start] = command
        return found


def _effect(line: str) -> Effect:
    fields = json.loads(line)
    run, _, task = fields["task"].partition(".")
    run_id = parse_id(run)
    assert run_id is not None
    attempt, phase, at, pid = (fields[name] for name in ("attempt", "phase", "at", "pid"))
    return Effect(run_id, int(task), attempt, phase, at, pid, fields.get("job", ""), parse_id(fields.get("parent", "")))
