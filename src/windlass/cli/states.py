"""How each state looks: its sign and its colour, the same in tables, trees and graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from windlass.model.state import joint_state

#: State to sign; all are one column wide.
SIGNS: Final[Mapping[str, str]] = {
    "pending": "·",
    "scheduled": "◷",
    "queued": "○",
    "running": "●",
    "waiting": "◌",
    "completed": "✓",
    "failed": "✗",
    "skipped": "−",  # noqa: RUF001 - a minus sign, not a dash
    "cancelled": "⊘",
    "timeout": "⧖",
    "lost": "?",
    "draining": "◐",
    "ending": "◑",
    "silent": "…",
    "rescheduled": "↻",
}
#: State to colour of a terminal; `_CODES` knows them.
COLOURS: Final[Mapping[str, str]] = {
    "pending": "bright_black",
    "scheduled": "blue",
    "queued": "blue",
    "running": "cyan",
    "waiting": "yellow",
    "completed": "green",
    "failed": "red",
    "skipped": "bright_black",
    "cancelled": "magenta",
    "timeout": "red",
    "lost": "red",
    "draining": "yellow",
    "ending": "yellow",
    "silent": "yellow",
    "rescheduled": "blue",
}
_CODES: Final = {
    "bright_black": "90",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
}
#: What a program may end with, in the order that a summary names it.
ORDER: Final = tuple(SIGNS)


def signed(state: str) -> str:
    """Return a state behind its sign."""
    return f"{SIGNS[state]} {state}"


def paint_signed(text: str, _: str = "") -> str:
    """Return a state behind its sign in its colour, for a terminal."""
    return paint(text, COLOURS.get(text.partition(" ")[2], ""))


def paint(text: str, colour: str) -> str:
    """Return `text` in a colour; as it is where there is no such colour."""
    code = _CODES.get(colour)
    return text if code is None or not text else f"\x1b[{code}m{text}\x1b[0m"


def counted(counts: Mapping[str, int]) -> str:
    """Return counts by state as `3 completed, 1 failed`, in the usual order."""
    known = [state for state in ORDER if counts.get(state)]
    return ", ".join(f"{counts[state]} {state}" for state in known)


def state_of(counts: Mapping[str, int]) -> str:
    """Return the state that stands for all tasks of a step."""
    return joint_state({state for state, count in counts.items() if count}) or "pending"
