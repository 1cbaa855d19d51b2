"""The config of a step: units made numbers, then checked against the schema of the step's type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from windlass.errors import ExpressionError
from windlass.model.definition import Step
from windlass.model.durations import parse_duration, parse_size, whole
from windlass.model.manifest.kinds import INVALID, described, label
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.schema_sentence import Sentence, complaints
from windlass.model.manifest.words import Command
from windlass.model.steptype import StepSpec

if TYPE_CHECKING:
    from windlass.model.rendering import CompiledStep

#: Fields of a step that are config in truth, with the names that config has for them, best first.
SHORT: Mapping[str, tuple[str, ...]] = {
    "run": ("run",),
    "shell": ("shell",),
    "command": ("command",),
    "image": ("image",),
    "workdir": ("workdir", "working_directory"),
    "mounts": ("mounts",),
}
_EXPRESSION = "${{"
#: Stands for a number that was refused; in range everywhere, so that a mistake is told once.
_PLAUSIBLE = 2**20
#: Compiled steps that are kept for each type, and the bytes of one above which it is not.
_KEPT = 1024
_LARGEST_KEPT = 8192
_UNITS: Mapping[str, tuple[str, Callable[[str], int | float]]] = {
    "seconds": ("a duration such as 30s, 15m or 1h30m", parse_duration),
    "bytes": ("a size such as 64MiB", parse_size),
}
_COMMAND = Command()


class ConfigChecker:
    """Normalises and checks the config of one step type."""

    def __init__(self, spec: StepSpec) -> None:
        """Prepare for the schema of `spec`."""
        self.spec = spec
        self.properties: Mapping[str, Any] = spec.schema.get("properties", {})
        #: Where the config keeps what a step's short field says; None where this type has no place for it.
        self.short: Mapping[str, str | None] = {
            field: next((name for name in names if name in self.properties), None) for field, names in SHORT.items()
        }
        self._units = tuple(_unit_fields(spec.schema, ()))
        self._with_units = frozenset(field[0] for field, _ in self._units)
        self._has_command = "array" in _types(self.properties.get("command", {}))
        self._has_run = "run" in self.properties
        self._defaults = {name: below for name, below in self.properties.items() if _has_default(below)}
        self._compiled = lru_cache(maxsize=_KEPT)(self._compile)

    @cached_property
    def _validator(self) -> Any:
        import jsonschema_rs  # noqa: PLC0415 - costs start-up time of commands that check nothing

        return jsonschema_rs.Draft202012Validator(
            dict(self.spec.schema), validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )

    def normalise(self, config: dict[str, Any], notes: Notes, path: Path) -> None:
        """Bring a config to its one form, in place; texts with expressions stay.

        Command lists become lists, scripts `run`, units numbers; nulls and what is meant anyway are left out.
        """
        if None in config.values():
            for name in [name for name, value in config.items() if value is None]:
                del config[name]
        for name, schema in self._defaults.items():
            if name in config and _is_default(config[name], schema):
                del config[name]
            elif name in config:
                config[name] = _without_defaults(config[name], schema)
        if self._has_command and type(config.get("command")) in (str, list):
            self._normalise_command(config, notes, (*path, "command"))
        self._normalise_units(config, notes, path)

    def _normalise_units(self, config: dict[str, Any], notes: Notes, path: Path) -> None:
        """Make what may be written with its unit a number."""
        if self._with_units.isdisjoint(config):
            return

        def read(place: Path, unit: str, text: str) -> Any:
            words, parse = _UNITS[unit]
            if _EXPRESSION in text:
                return text
            try:
                return parse(text)
            except ValueError:
                notes.error(place, f"{label(place)} must be {words}, not {described(text)}")
                return _PLAUSIBLE

        for field, unit in self._units:
            if field[0] in config:
                _make_number(config, field, unit, read, path)

    def _normalise_command(self, config: dict[str, Any], notes: Notes, path: Path) -> None:
        """Make a command that is a list a list, and a script `run` where the type has that."""
        found = _COMMAND.read(config["command"], notes, path)
        if found is not INVALID:
            config["command"] = found
        if self._has_run and type(config["command"]) is str and "run" not in config:
            config["run"] = config.pop("command")

    def compiled(self, json: bytes) -> CompiledStep:
        """Return the expressions of a step of this type; `json` is a mapping with its `config`, `env` and `when`.

        The same steps come back with every version of every job, so that those read last are kept.
        """
        return self._compiled(json) if len(json) <= _LARGEST_KEPT else self._compile(json)

    def _compile(self, json: bytes) -> CompiledStep:
        from windlass.model.rendering import compile_step  # noqa: PLC0415 - as above

        return compile_step(Step(name="", type=self.spec.name, **orjson.loads(json)), self.spec)

    def check(self, config: Mapping[str, Any]) -> Iterable[Sentence]:
        """Return (path inside of the config, sentence, about) for whatever is wrong with a normalised config.

        A text that holds an expression is taken for any type: what it gives is checked when it is known.
        """
        if self._validator.is_valid(config):
            return ()
        return complaints(self._validator, config, self.spec.schema, f"the config of {self.spec.name}")

    def settled(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a config whose expressions have been evaluated, as its step gets it: units are numbers.

        Raises ExpressionError where what they gave is not what the type takes; the sentence does not show it, for it
        may be secret.
        """

        def read(place: Path, unit: str, text: str) -> int | float:
            words, parse = _UNITS[unit]
            try:
                return parse(text)
            except ValueError:
                raise ExpressionError(f"{label(place)} must be {words}; its expression gave something else") from None

        result = dict(config)
        for field, unit in self._units:
            if field[0] in result:
                _make_number(result, field, unit, read, ())
        what = f"the config of {self.spec.name}"
        for _, message, _ in complaints(self._validator, result, self.spec.schema, what, hide=True, known=True):
            raise ExpressionError(f"{message}; an expression gave something else")
        return result


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _has_default(schema: Any) -> bool:
    """Say whether a value of `schema`, or a part of one, has a default."""
    if not isinstance(schema, Mapping):
        return False
    parts = (schema.get("items"), *schema.get("properties", {}).values())
    return "default" in schema or any(_has_default(part) for part in parts)


def _is_default(value: Any, schema: Mapping[str, Any]) -> bool:
    """Say whether a value is what is meant anyway; 0 is not false."""
    return "default" in schema and value == schema["default"] and type(value) is type(schema["default"])


def _without_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value without the parts that are meant anyway."""
    if isinstance(value, list) and _has_default(schema.get("items")):
        return [_without_defaults(entry, schema["items"]) for entry in value]
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        return {
            key: _without_defaults(entry, parts.get(key, {}))
            for key, entry in value.items()
            if not _is_default(entry, parts.get(key, {}))
        }
    return value


def _unit_fields(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield the path and unit of every field with `x-unit`."""
    for name, below in schema.get("properties", {}).items():
        if "x-unit" in below:
            yield (*path, name), below["x-unit"]
        else:
            yield from _unit_fields(below, (*path, name))


def _make_number(
    config: dict[str, Any], field: tuple[str, ...], unit: str, read: Callable[[Path, str, str], Any], path: Path
) -> None:
    """Make the value at `field` a number, in place; `read` gets its place, unit and text."""
    name = field[0]
    value = config.get(name)
    if len(field) > 1:
        if type(value) is dict:
            config[name] = dict(value)
            _make_number(config[name], field[1:], unit, read, (*path, name))
    elif type(value) is float and value.is_integer():
        config[name] = whole(value)
    elif type(value) is str:
        config[name] = read((*path, name), unit, value)
