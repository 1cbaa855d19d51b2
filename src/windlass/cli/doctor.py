"""`windlass doctor`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.states import paint
from windlass.cli.table import Column, table_lines
from windlass.cli.text import local_times, size
from windlass.errors import WindlassError

#: Free bytes below which a disk is nearly full.
_SCARCE: Final = 512 * 1024 * 1024
_EXAMPLES: Final = """
windlass doctor
windlass doctor --repair
"""
_SIGNS: Final = {"ok": "✓", "warning": "!", "error": "✗"}
_COLOURS: Final = {"✓": "green", "!": "yellow", "✗": "red"}
_COLUMNS: Final = (
    Column("", lambda row: _SIGNS[row["level"]], paint=lambda text, cell: paint(text, _COLOURS[cell])),
    Column("CHECK", lambda row: row["check"]),
    Column("FINDING", lambda row: local_times(row["message"])),
)


@make(name="doctor", examples=_EXAMPLES)
@click.option("--repair", is_flag=True, help="Put right what can be, then look again.")
def command(session: Session, *, repair: bool) -> int:
    """Find out what is wrong with this installation, and say what to do.

    With --repair the database is checked first, and nothing is changed where that is damaged; then runs that nobody
    would move are put right, missing indexes made, empty space given back, and what belongs to no run is removed.
    Exit status 1: something is wrong still; warnings do not count.
    """
    done, of_store = _store(session, repair=repair)
    # Whoever owns the store knows of reserve and quota: what it says of the disk counts.
    said = {one["check"] for one in of_store} & {"disk"}
    home = [one for one in _home(session) if one["check"] not in said]
    found = [*home, *_step_types(session), *of_store]
    wrong = any(one["level"] == "error" for one in found)
    out = session.out
    value = {"repaired": done, "items": found} if repair else found
    out.value(value, lambda: _lines(done, found, colours=out.colours))
    return 1 if wrong else 0


def _lines(done: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], *, colours: bool) -> list[str]:
    told = [f"repaired  {one['check']}: {local_times(one['message'])}" for one in done]
    return told + table_lines(_COLUMNS, found, width=None, colours=colours)[1:]


def _home(session: Session) -> list[dict[str, Any]]:
    """Look at the folder of the settings; wrong settings have been refused before."""
    home = session.settings.home
    found = [_one("ok", "settings", f"all are valid; the home is {home}")]
    if not home.exists():
        return [*found, _one("ok", "home", "it does not exist yet; the first command makes it")]
    facts = home.stat()
    if facts.st_uid != os.geteuid():
        found.append(
            _one("error", "home", f"{home} belongs to another user; set WINDLASS_HOME to a folder of your own")
        )
    elif facts.st_mode & 0o077:
        found.append(_one("warning", "home", f"others may enter {home}; run `chmod 700 {home}`"))
    free = shutil.disk_usage(home).free
    level = "warning" if free < _SCARCE else "ok"
    found.append(_one(level, "disk", f"{size(free)} are free below {home}"))
    return found


def _step_types(session: Session) -> list[dict[str, Any]]:
    broken = session.program.broken_step_types()
    return [_one("error", "step types", f"{name}: {why}") for name, why in broken.items()]


def _store(session: Session, *, repair: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what was repaired, and what the owner of the store finds now."""
    try:
        with session.connect() as client:
            said = client.post("doctor", "repair") if repair else client.get("doctor")
    except WindlassError as error:
        return [], [_one("error", "store", str(error))]
    return said.get("repaired", []), said["items"]


def _one(level: str, check: str, message: str) -> dict[str, Any]:
    return {"level": level, "check": check, "message": message, "repair": None}
