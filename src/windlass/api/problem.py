"""Errors as problem documents (RFC 9457): what a caller may know, and nothing of the inside."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from windlass.api.message import Answer
from windlass.errors import InvalidDocument, LimitExceeded, WindlassError
from windlass.model.finding import Finding

MEDIA: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:windlass:problem:"


def problem_of(error: WindlassError) -> Answer:
    """Return the problem document of an error that was raised on purpose."""
    more: dict[str, Any] = {}
    if isinstance(error, InvalidDocument):
        more["findings"] = [finding_to_json(finding) for finding in error.findings]
    elif isinstance(error, LimitExceeded):
        more |= {"what": error.what, "actual": error.actual, "limit": error.limit}
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    return problem(error.status, str(error), type_=TYPE_PREFIX + name, **more)


def unexpected(error_id: str) -> Answer:
    """Return the problem document of an error that nobody foresaw; the log has the details under `error_id`."""
    text = f"Something went wrong inside Windlass; its log has the details under error {error_id}."
    return problem(500, text, type_=f"{TYPE_PREFIX}unexpected", errorId=error_id)


def problem(status: int, detail: str, *, type_: str = "about:blank", **more: Any) -> Answer:
    """Return a problem document; `about:blank` is one that its status says all about."""
    title = HTTPStatus(status).phrase
    return Answer(
        status=status,
        body={"type": type_, "title": title, "status": status, "detail": detail, **more},
        media=MEDIA,
    )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as callers see it; the place is left out where there is none."""
    place = finding.position
    where = {} if place is None else {"file": place.file, "line": place.line, "column": place.column}
    return {"level": finding.level, "message": finding.message, "path": list(finding.path), **where}
