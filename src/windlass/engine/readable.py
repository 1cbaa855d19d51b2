"""Reading one object among many, so that one which cannot be read does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from windlass.store.transaction import is_trouble

Params = ParamSpec("Params")
Value = TypeVar("Value")

_log = logging.getLogger(__name__)


def readable(
    what: str,
    read: Callable[Params, Value],
    *args: Params.args,
    **kwargs: Params.kwargs,
) -> Value | None:
    """Return what `read` gives, which only looks; None where it fails, with the error in the log.

    What is wrong with an object may be anything: its text is damaged, an extension that it needs is broken, there is a
    defect here. Raises what is the store's own trouble, which is not the object's.
    """
    try:
        return read(*args, **kwargs)
    except Exception as error:
        if is_trouble(error):
            raise
        _log.exception("%s cannot be read and is passed over", what)
        return None
