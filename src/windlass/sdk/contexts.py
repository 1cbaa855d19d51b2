"""The contexts of several submissions: which of them does not fit is said by its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from windlass.errors import LimitExceeded, UserError
from windlass.sdk.definition import Definition

_Read = Callable[[Any], Mapping[str, Any]]


def parameters_of_all(job: Definition, contexts: Sequence[Any], limit: int) -> list[Mapping[str, Any]]:
    """Return the parameters of a run for each context, each up to `limit` bytes of JSON.

    Raises UserError where one does not fit, LimitExceeded where one is too large.
    """
    return _each(contexts, lambda context: job.taking.parameters_of(context, job.alias, limit))


def mappings(job: str, contexts: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Return the parameters by name that an applied job is given. Raises UserError where a context is no dict."""
    return _each(contexts, lambda context: _mapping(job, context))


def _each(contexts: Sequence[Any], read: _Read) -> list[Mapping[str, Any]]:
    found = []
    for number, context in enumerate(contexts):
        try:
            found.append(read(context))
        except LimitExceeded as error:
            if len(contexts) == 1:
                raise
            raise LimitExceeded(f"contexts[{number}]: {error.what}", error.actual, error.limit) from None
        except UserError as error:
            if len(contexts) == 1:
                raise
            raise UserError(f"contexts[{number}]: {error}") from None
    return found


def _mapping(job: str, context: Any) -> Mapping[str, Any]:
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise UserError(f'Job "{job}" is given its parameters as a dict by name, not as a {type(context).__name__}.')
    return context
