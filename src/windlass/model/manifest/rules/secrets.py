"""Rules on secrets: references that can be followed, and literals where a secret belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from windlass.errors import ExpressionError
from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.manifest.problem import Path, texts
from windlass.model.secret_reference import SCHEME, reference_error
from windlass.model.template import Hole, split

_EXPRESSION = "${{"
#: Variables and headers whose value is a secret by their very name.
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:password|passwd|passphrase|secret|token|api_?key|private_?key)$", re.IGNORECASE
)
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key"})


def references_are_valid(draft: Draft) -> Findings:
    """Every `secret://` reference has a source and a name."""
    if SCHEME.encode() not in draft.json:
        return
    for path, text in texts(draft.canonical):
        if text.startswith(SCHEME) and _EXPRESSION not in text:
            wrong = reference_error(text)
            if wrong:
                yield Found(path, wrong)


def no_literal_secrets(draft: Draft) -> Findings:
    """Where a secret belongs, a reference is better than the secret itself."""
    for path, what, value in _where_secrets_belong(draft):
        if isinstance(value, str) and value and not value.startswith(SCHEME) and _EXPRESSION not in value:
            message = f"{what} is written out here; a reference such as secret://env/NAME keeps it out"
            yield Found(path, message, "warning")


def _where_secrets_belong(draft: Draft) -> Iterator[tuple[Path, str, Any]]:
    """Yield path, name and value of everything that is a secret by its place or name."""
    for number, trigger in enumerate(draft.canonical.get("triggers", ())):
        yield ("triggers", number, "configuration", "secret"), "secret", trigger.get("configuration", {}).get("secret")
    for number, callback in enumerate(draft.canonical.get("callbacks", ())):
        for name, value in callback.get("configuration", {}).get("headers", {}).items():
            if name.lower() in _SECRET_HEADERS:
                yield ("callbacks", number, "configuration", "headers", name), name, value
    for number, step in enumerate(draft.steps):
        for name, value in step.get("env", {}).items():
            if _SECRET_NAME.search(name):
                yield ("steps", number, "env", name), name, value
    for name, schema in draft.canonical.get("parameters", {}).items():
        if schema.get("secret") is True:
            yield ("parameters", name, "default"), f"the default of {name}", schema.get("default")


def no_secret_in_a_matrix(draft: Draft) -> Findings:
    """See that no axis of a matrix is a secret: its values show in the keys of tasks."""
    secret = {name for name, schema in draft.canonical.get("parameters", {}).items() if schema.get("secret") is True}
    for number, step in enumerate(draft.steps) if secret else ():
        for axis, written in step.get("matrix", {}).items():
            for name in sorted(secret & _parameters_in(written)):
                message = f"matrix.{axis} would show the secret parameter {name} in the keys of tasks; pass it by `env`"
                yield Found(("steps", number, "matrix", axis), message)


def cached_without_secrets(draft: Draft) -> Findings:
    """Warn of steps with `cache` that are given a secret: where it comes by its value, no result is kept."""
    secret = {name for name, schema in draft.canonical.get("parameters", {}).items() if schema.get("secret") is True}
    for number, step in enumerate(draft.steps) if secret else ():
        if step.get("cache") is None:
            continue
        named = secret & {name for _, text in texts(step) for name in _parameters_in(text)}
        if named:
            message = (
                f"results of a step that is given a secret ({', '.join(sorted(named))}) by its value are never cached; "
                "only where the run is given a secret:// reference they are"
            )
            yield Found(("steps", number, "cache"), message, "warning", "key")


def _parameters_in(written: Any) -> set[str]:
    """Return the parameters that the expression of a text names."""
    if not isinstance(written, str) or _EXPRESSION not in written:
        return set()
    try:
        holes = [piece for piece in split(written) if isinstance(piece, Hole)]
    except ExpressionError:
        return set()  # another rule tells of it
    paths = [use.path.keys for hole in holes for use in hole.expression.uses]
    return {str(keys[1]) for keys in paths if keys[:1] == ("parameters",) and len(keys) > 1}


RULES = (references_are_valid, no_literal_secrets, no_secret_in_a_matrix, cached_without_secrets)
