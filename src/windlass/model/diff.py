"""What changed between two versions of a job, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

Path = tuple[str | int, ...]
#: A value longer than this is cut in a line.
_LONGEST: Final = 160
_PLAIN: Final = re.compile(r"[A-Za-z0-9_$-]+")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that was added, removed or changed; a step is found by its name, not by its place."""

    kind: Literal["added", "removed", "changed"]
    path: Path
    #: The value before; None where it was added.
    old: Any = None
    #: The value after; None where it was removed.
    new: Any = None

    def __str__(self) -> str:
        """Return one line: `+ path: value`, `- path: value` or `~ path: old -> new`."""
        place = _dotted(self.path)
        if self.kind == "added":
            return f"+ {place}: {_short(self.new)}"
        if self.kind == "removed":
            return f"- {place}: {_short(self.old)}"
        return f"~ {place}: {_short(self.old)} -> {_short(self.new)}"


def diff_jobs(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> list[Change]:
    """Return every change from one canonical content to another, in the order of the fields; nothing if equal.

    Without an old one there is one change: the whole job is added.
    """
    if old is None:
        return [Change("added", (), None, new)]
    return list(_mappings((), old, new))


def _mappings(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in (*old, *(key for key in new if key not in old)):
        place = (*path, key)
        if key not in new:
            yield Change("removed", place, old[key])
        elif key not in old:
            yield Change("added", place, None, new[key])
        else:
            yield from _values(place, old[key], new[key])


def _values(path: Path, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mappings(path, old, new)
    elif isinstance(old, list) and isinstance(new, list) and _are_mappings(old) and _are_mappings(new):
        yield from _named(path, old, new) if path == ("steps",) else _numbered(path, old, new)
    elif not _same(old, new):
        yield Change("changed", path, old, new)


def _named(path: Path, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """Compare steps by name, and their order."""
    before = {step["name"]: step for step in old}
    after = {step["name"]: step for step in new}
    if len(before) < len(old) or len(after) < len(new):
        yield from _numbered(path, old, new)
        return
    yield from _mappings(path, before, after)
    kept_before = [name for name in before if name in after]
    kept_after = [name for name in after if name in before]
    if kept_before != kept_after:
        yield Change("changed", (*path, "order"), list(before), list(after))


def _numbered(path: Path, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        place = (*path, index)
        if index >= len(new):
            yield Change("removed", place, old[index])
        elif index >= len(old):
            yield Change("added", place, None, new[index])
        else:
            yield from _values(place, old[index], new[index])


def _are_mappings(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, Mapping) for value in values)


def _same(old: Any, new: Any) -> bool:
    """Say whether two values are the same content; 1, 1.0 and true are not."""
    return type(old) is type(new) and _json(old) == _json(new)


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _dotted(path: Path) -> str:
    """Return a path as people read it: `steps.load.retry.attempts`, `triggers[0].type`, `labels["a b"]`."""
    text = ""
    for part in path:
        if isinstance(part, str) and _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part}]" if isinstance(part, int) else f"[{_json(part).decode()}]"
    return text or "job"


def _short(value: Any) -> str:
    text = _json(value).decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
