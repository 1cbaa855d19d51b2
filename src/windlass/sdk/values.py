"""Between the values of an application and those of a run: contexts become parameters, outputs become results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.errors import LimitExceeded, UserError
from windlass.model.outputs import check_json
from windlass.sdk.schema import Parameters
from windlass.steps.python_values import BadValue, build, plain, takes_an_object

#: Where a job takes no context.
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Taking:
    """What a job takes, and how a context becomes its parameters."""

    #: Name of the one parameter that takes the context; None where a function takes several, or nothing is taken.
    name: str | None
    #: What the code says the context is.
    kind: Any
    #: Schemas for the manifest; None takes whatever names there are.
    parameters: Parameters
    #: True where the parameters are the fields of the context, False where `name` holds all of it.
    spread: bool
    #: True where the context may be left out.
    optional: bool = False

    def parameters_of(self, context: Any, job: str, limit: int) -> Mapping[str, Any]:
        """Return the parameters of a run, up to `limit` bytes of JSON.

        Raises UserError where the context does not fit, LimitExceeded where it is too large.
        """
        if context is None and (self.optional or self.parameters == {}):
            return _NOTHING
        if self.optional and self._is_empty(context):
            return _NOTHING
        try:
            if self.name is None:
                found = self._by_name(context)
            elif self.spread:
                found = self._fields(context)
            else:
                found = {self.name: self._checked(context)}
            check_json(found)
            size = len(orjson.dumps(found))
        except (BadValue, UserError, TypeError) as error:
            raise UserError(f'Job "{job}": {_sentence(str(error))}') from None
        if size > limit:
            raise LimitExceeded(f'the context of job "{job}" in bytes of JSON', size, limit)
        return found

    def _by_name(self, context: Any) -> Mapping[str, Any]:
        if self.parameters == {}:
            raise BadValue(f"it takes no context; it was given a {type(context).__name__}")
        found = plain(context, "the context")
        if not isinstance(found, dict):
            raise BadValue(f"its context is a mapping of its parameters by name, not a {type(context).__name__}")
        if self.parameters is None:
            return found
        for name in found:
            if name not in self.parameters:
                raise BadValue(f'it has no parameter "{name}"; it has {", ".join(self.parameters)}')
        for name, schema in self.parameters.items():
            if name not in found and schema.get("required"):
                raise BadValue(f'its parameter "{name}" is missing')
        return {
            name: plain(build(self.kind.get(name, Any), value, f'"{name}"'), f'"{name}"')
            for name, value in found.items()
        }

    def _fields(self, context: Any) -> Mapping[str, Any]:
        found = self._checked(context)
        schemas = self.parameters or {}
        return {
            name: value
            for name, value in found.items()
            if value is not None or schemas.get(name, {}).get("required") or "default" in schemas.get(name, {})
        }

    def _checked(self, context: Any) -> Any:
        """Return a context as JSON, after it was made once as the attempt will make it."""
        if not self.spread and isinstance(context, Mapping) and not takes_an_object(self.kind) and self._named(context):
            (context,) = context.values()
        found = plain(context, "the context")
        if not self.spread and isinstance(found, dict) and self.kind is not Any and not takes_an_object(self.kind):
            names = ", ".join(f'"{name}"' for name in found)
            raise BadValue(f'it takes one value, "{self.name}"; it was given {names or "an empty mapping"}')
        if self.kind is Any:
            return found
        made = build(self.kind, found, "the context")
        return plain(made, "the context") if dataclasses.is_dataclass(made) or hasattr(made, "model_dump") else found

    def _is_empty(self, context: Any) -> bool:
        """Say whether a context names no parameter, and cannot be the value of one either."""
        one_value = self.name is not None and not self.spread and not takes_an_object(self.kind)
        return one_value and self.kind is not Any and isinstance(context, Mapping) and not context

    def _named(self, context: Mapping[str, Any]) -> bool:
        return set(context) == {self.name} and self.kind is not Any


def result_of(kind: Any, outputs: Mapping[str, Any]) -> Any:
    """Return the result behind the outputs of a run, as the annotation `kind` asks for it.

    Raises UserError where it does not fit.
    """
    value: Any = dict(outputs)
    if not takes_an_object(kind):
        if not outputs:
            return None
        if set(outputs) == {"result"}:
            value = outputs["result"]
    if kind is Any or kind is None or kind is type(None):
        return value
    try:
        return build(kind, value, "the result")
    except BadValue as error:
        raise UserError(_sentence(str(error))) from None


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
