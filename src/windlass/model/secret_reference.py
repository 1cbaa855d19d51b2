"""References to secrets: `secret://SOURCE/REST`, resolved by a worker for the time of one attempt."""

from __future__ import annotations

import re
from typing import Final

from windlass.model.did_you_mean import suggestion

SCHEME: Final = "secret://"
_FORMS: Final = {
    "env": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z0-9_]+)*"), "secret://env/NAME"),
    "file": (re.compile(r"[^?#\0]+"), "secret://file/path"),
    "store": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "secret://store/NAME"),
    "vault": (re.compile(r"[^/?#\0][^?#\0]*(?:\?field=[^?#&=\0]+)?"), "secret://vault/path?field=name"),
    "k8s": (re.compile(r"[^/?#\0]+(?:/[^/?#\0]+){1,2}"), "secret://k8s/namespace/secret/key"),
}


def source_of(reference: str) -> str:
    """Return the source that a reference names: `env` of `secret://env/NAME`."""
    return reference.removeprefix(SCHEME).partition("/")[0]


def reference_error(reference: str) -> str | None:
    """Return one sentence on what is wrong with a text that begins with `secret://`, or None."""
    source, _, rest = reference.removeprefix(SCHEME).partition("/")
    if source not in _FORMS:
        near = suggestion(source, _FORMS)
        return f'unknown source of secrets "{source}" in {reference[:80]}{near}'
    pattern, form = _FORMS[source]
    if not pattern.fullmatch(rest) or ".." in rest.split("/"):
        return f"{reference[:80]} must look like {form}"
    return None
