"""Where in a text the keys and values stand that findings are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser

from windlass.model.manifest.problem import Path

Mark = tuple[int, int]


class Place(NamedTuple):
    """Where a key and its value stand."""

    key: Mark | None
    value: Mark
    #: What the parser says of the value, where that is a text.
    scalar: Any = None


def locate(text: str, wanted: Iterable[Path]) -> dict[Path, Place]:
    """Return the places of the `wanted` paths (their first part is the number of the document), from 1.

    Only what is wanted, and what it stands in, is kept. A path that the text does not have is left out.
    """
    needed: set[Path] = set()
    for path in wanted:
        needed.update(path[:length] for length in range(len(path) + 1))
    found: dict[Path, Place] = {}
    parser = CParser(text)
    try:
        _walk(parser, needed, found)
    except yaml.YAMLError:
        pass  # the text ends here for the reader, too
    finally:
        parser.dispose()
    return found


def _walk(parser: Any, needed: set[Path], found: dict[Path, Place]) -> None:
    """Go through all events; a frame is [path or None where nothing inside is wanted, key or index, key's place]."""
    stack: list[list[Any]] = []
    document = -1
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is yaml.StreamEndEvent:
            return
        if kind is yaml.DocumentStartEvent:
            document += 1
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            stack.pop()
            _next(stack)
        elif kind is yaml.ScalarEvent or kind is yaml.AliasEvent:
            if stack and stack[-1][1] is _KEY:
                stack[-1][1] = event.value if kind is yaml.ScalarEvent else None
                stack[-1][2] = _mark(event)
            else:
                _note(stack, document, event, needed, found)
                _next(stack)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            first = _KEY if kind is yaml.MappingStartEvent else 0
            if stack and stack[-1][1] is _KEY:  # a key that is no text
                stack[-1][1] = None
                stack.append([None, first, None])
            else:
                path = _note(stack, document, event, needed, found)
                stack.append([path, first, None])


_KEY = object()


def _mark(event: Any) -> Mark:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


def _note(
    stack: list[list[Any]], document: int, event: Any, needed: set[Path], found: dict[Path, Place]
) -> Path | None:
    """Keep the place of a value, if it is wanted, and return its path if so."""
    if not stack:
        path: Path = (document,)
        key_mark = None
    else:
        frame = stack[-1]
        if frame[0] is None or frame[1] is None:
            return None
        path = (*frame[0], frame[1])
        key_mark = frame[2]
    if path not in needed:
        return None
    found.setdefault(path, Place(key_mark, _mark(event), event if type(event) is yaml.ScalarEvent else None))
    return path


def _next(stack: list[list[Any]]) -> None:
    """Move on in the container around a value that has ended."""
    if not stack:
        return
    frame = stack[-1]
    if type(frame[1]) is int:
        frame[1] += 1
    else:
        frame[1] = _KEY
