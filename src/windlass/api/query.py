"""Declared query parameters: their types, and the refusal of all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import parse_qsl

from windlass.clock import from_text
from windlass.errors import UserError
from windlass.model.printable import printable
from windlass.settings import PROJECT_NAME, is_project

Type = Literal["text", "integer", "boolean", "time", "texts", "project", "projects"]
_BOOLEANS = {"true": True, "1": True, "": True, "false": False, "0": False}
_MOST_PARAMETERS = 200
_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter of a route."""

    name: str
    description: str
    #: `time` is RFC 3339 and read as microseconds; `texts` may be given several times, or with commas; `projects` is
    #: the name of a project, or * for all.
    type: Type = "text"
    default: Any = None
    #: The only values there are; empty where any will do.
    choices: tuple[str, ...] = ()
    #: Bounds of an integer.
    lowest: int = 0
    highest: int = _LARGEST
    required: bool = False


def read_query(declared: Sequence[Query], text: str) -> dict[str, Any]:
    """Return the values of `text`, what stands behind the question mark, by name, defaults included.

    Raises UserError that names every parameter that is unknown, given twice, missing or wrong.
    """
    known = {query.name: query for query in declared}
    given = _given(text)
    problems: list[str] = []
    values: dict[str, Any] = {query.name: query.default for query in declared if query.default is not None}
    for name, texts in given.items():
        if name not in known:
            problems.append(_unknown(name, known))
            continue
        try:
            values[name] = _value(known[name], texts)
        except _NoProject as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f'The query parameter "{name}" {error}.')
    missing = [query for query in declared if query.required and query.name not in given]
    problems += [f'The query parameter "{query.name}" is missing: {query.description}.' for query in missing]
    if problems:
        raise UserError("\n".join(problems))
    return values


def _given(text: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict")
    except ValueError:
        raise UserError("The query cannot be read: it has too many parameters, or is no UTF-8.") from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    return given


def _value(query: Query, texts: list[str]) -> Any:
    if query.type == "texts":
        several = [item.strip() for text in texts for item in text.split(",") if item.strip()]
        for item in several:
            _choose(query, item)
        return several
    if len(texts) > 1:
        raise ValueError("is given more than once")
    return _single(query, texts[0])


def _single(query: Query, text: str) -> Any:
    match query.type:
        case "integer":
            digits = text.removeprefix("-")
            if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_LARGEST)):
                raise ValueError("must be a whole number")
            if not query.lowest <= int(text) <= query.highest:
                raise ValueError(f"must be from {query.lowest} to {query.highest}")
            return int(text)
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise ValueError("must be true or false")
            return _BOOLEANS[text.lower()]
        case "time":
            try:
                return from_text(text)
            except (ValueError, OverflowError):
                raise ValueError("must be a time such as 2026-01-31T12:00:00Z") from None
        case "project" | "projects":
            return _project(text, every=query.type == "projects")
        case _:
            if "\0" in text:
                raise ValueError("must not contain NUL")
            return _choose(query, text)


class _NoProject(ValueError):
    """A project that cannot be: a sentence."""


def _project(text: str, *, every: bool) -> str:
    if is_project(text) or (every and text == "*"):
        return text
    if text == "*":
        raise _NoProject("This is done in one project: * is none, and names all of them only where things are listed.")
    raise _NoProject(f'"{printable(text[:80])}" is no name of a project: {PROJECT_NAME}.')


def _choose(query: Query, text: str) -> str:
    if query.choices and text not in query.choices:
        raise ValueError(f"must be one of {', '.join(query.choices)}")
    return text


def _unknown(name: str, known: Mapping[str, Query]) -> str:
    near = get_close_matches(name[:64], known, n=1, cutoff=0.6)
    end = f'; did you mean "{near[0]}"?' if near else f"; it takes {', '.join(known) or 'none'}."
    return f'There is no query parameter "{name[:80]}" here{end}'
