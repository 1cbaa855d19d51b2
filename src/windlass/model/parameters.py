"""The parameters that a run is given: converted from text, checked against the job, completed with defaults."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from windlass.model.definition import Job
from windlass.model.did_you_mean import suggestion
from windlass.model.finding import Finding
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.schema_sentence import complaints
from windlass.model.parameter_schema import BadPattern, checked_schema, validator
from windlass.model.secret_reference import SCHEME, reference_error

_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_INTEGERS = range(-(2**63), 2**63)
#: Characters of a text, and names of parameters, that a sentence shows.
_LONGEST_SHOWN = 40
_MOST_SHOWN = 12
_BOOLEANS = {"true": True, "false": False}


def from_text(job: Job, pairs: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
    """Return the values that texts mean by the types of the job's parameters, and what has none.

    A list or mapping is written as JSON. What the job does not know stays text: `check_parameters` says so.
    """
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, text in pairs.items():
        schema = (job.parameters or {}).get(name, {})
        words, convert = _CONVERSIONS.get(schema.get("type", "string"), _AS_IS)
        found = convert(text)
        if found is None:
            findings.append(_finding((name,), f"{name} must be {words}, not {_shown(text, schema)}"))
        else:
            values[name] = found
    return values, findings


def check_parameters(
    job: Job, given: Mapping[str, Any], limits: Limits | None = None
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the complete parameters of a run: what is given, and the defaults of what is not; and what is wrong.

    Without a parameters block any texts are taken. `given` is not changed.
    """
    findings = list(_not_json(given, limits or Limits()))
    if findings:
        return {}, findings
    if job.parameters is None:
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        findings.extend(
            _finding((name,), f"{name} must be text: the job has no parameters block")
            for name in given
            if name not in texts
        )
        return texts, findings
    values: dict[str, Any] = {}
    findings.extend(
        _finding(
            (name,), f'unknown parameter "{_cut(name)}"{suggestion(name, job.parameters) or _known(job.parameters)}'
        )
        for name in given
        if name not in job.parameters
    )
    for name, schema in job.parameters.items():
        if name in given:
            findings.extend(_wrong(name, given[name], schema))
            values[name] = given[name]
        elif "default" in schema:
            values[name] = schema["default"]
        elif schema.get("required") is True:
            findings.append(_finding((name,), f'missing parameter "{name}"'))
    return values, findings


def _not_json(given: Mapping[str, Any], limits: Limits) -> Iterable[Finding]:
    """Yield why values cannot be kept as JSON at all, or are too large."""
    try:
        size = len(orjson.dumps(given))
    except TypeError as error:
        yield _finding((), f"parameters must be JSON: {str(error)[:120]}")
        return
    if size > limits.parameter_bytes:
        message = f"the parameters have {size:,} bytes as JSON, over the limit of {limits.parameter_bytes:,}"
        yield _finding((), message)
    pending: list[Any] = list(given.values())
    while pending:
        value = pending.pop()
        if isinstance(value, int) and value not in _INTEGERS:
            yield _finding((), "parameters must be JSON: an integer does not fit into 64 bits; give it as text")
        elif isinstance(value, float) and not math.isfinite(value):
            yield _finding((), f"parameters must be JSON: {value} is no number that JSON has")
        elif isinstance(value, Mapping):
            pending.extend(value.values())
        elif isinstance(value, (list, tuple)):
            pending.extend(value)


def _wrong(name: str, value: Any, schema: Mapping[str, Any]) -> Iterable[Finding]:
    """Yield what is wrong with the value given for one parameter."""
    secret = schema.get("secret") is True
    if secret and isinstance(value, str) and value.startswith(SCHEME):
        wrong = reference_error(value)
        if wrong:
            yield _finding((name,), f"{name}: {wrong}")
        return
    try:
        check = _checked(orjson.dumps(checked_schema(schema), option=orjson.OPT_SORT_KEYS))
    except BadPattern as error:
        yield _finding((name,), f"{name} cannot be checked: {error}")
        return
    for path, message, _ in complaints(check, value, schema, name, hide=secret, whole=True):
        yield _finding((name, *path), message)


@lru_cache(maxsize=1024)
def _checked(schema: bytes) -> Any:
    return validator(orjson.loads(schema))


def _finding(path: tuple[str | int, ...], message: str) -> Finding:
    return Finding("error", message, None, ("parameters", *path))


def _cut(text: str) -> str:
    """Return a text for a sentence, in full where it is short."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _known(names: Iterable[str]) -> str:
    shown = list(names)[:_MOST_SHOWN]
    return f"; the job takes {', '.join(shown)}" if shown else "; the job takes none"


def _shown(text: str, schema: Mapping[str, Any]) -> str:
    """Return a text for a sentence; a secret is not shown."""
    return "what is given" if schema.get("secret") is True else f'"{_cut(text)}"'


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _json(kind: type) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            value = json.loads(text, object_pairs_hook=_once_each)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, kind) else None

    return convert


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


_AS_IS: tuple[str, Callable[[str], Any]] = ("text", str)
_CONVERSIONS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "string": _AS_IS,
    "integer": ("an integer", _integer),
    "number": ("a number", _number),
    "boolean": ("true or false", _BOOLEANS.get),
    "array": ('a list as JSON, such as ["a", "b"]', _json(list)),
    "object": ('a mapping as JSON, such as {"a": 1}', _json(dict)),
}
