"""The config of a step: units made numbers, then checked against the schema of the step's type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from windlass.model.durations import parse_duration, parse_size, whole
from windlass.model.manifest.kinds import INVALID, described, label
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.schema_sentence import Sentence, complaints
from windlass.model.manifest.words import Command
from windlass.model.steptype import StepSpec

_EXPRESSION = "${{"
_UNITS = {
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
        self.units = tuple(_unit_fields(spec.schema, ()))
        self.has_command = "array" in _types(self.properties.get("command", {}))

    @cached_property
    def _validator(self) -> Any:
        import jsonschema_rs  # noqa: PLC0415 - costs start-up time of commands that check nothing

        return jsonschema_rs.Draft202012Validator(
            dict(self.spec.schema), validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
        )

    def normalise(self, config: dict[str, Any], notes: Notes, path: Path) -> dict[str, Any]:
        """Return `config` with command lists as lists and units as numbers; texts with expressions stay."""
        command = config.get("command")
        if command is not None and self.has_command and type(command) in (str, list):
            found = _COMMAND.read(command, notes, (*path, "command"))
            if found is not INVALID and found != command:
                config = {**config, "command": found}
        for field, unit in self.units:
            config = _with_unit(config, field, unit, notes, path)
        return config

    def check(self, config: Mapping[str, Any]) -> Iterable[Sentence]:
        """Return (path inside of the config, sentence, about) for whatever is wrong with a normalised config.

        A text that holds an expression is taken for any type: what it gives is checked when it is known.
        """
        return complaints(self._validator, config, self.spec.schema, f"the config of {self.spec.name}")


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _unit_fields(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    """Yield the path and unit of every field with `x-unit`."""
    for name, below in schema.get("properties", {}).items():
        if "x-unit" in below:
            yield (*path, name), below["x-unit"]
        else:
            yield from _unit_fields(below, (*path, name))


def _with_unit(config: dict[str, Any], field: tuple[str, ...], unit: str, notes: Notes, path: Path) -> dict[str, Any]:
    """Return `config` with the value at `field` as a number."""
    name, *rest = field
    value = config.get(name)
    if value is None:
        return config
    if rest:
        inner = _with_unit(value, tuple(rest), unit, notes, (*path, name)) if type(value) is dict else value
        return config if inner is value else {**config, name: inner}
    if type(value) is float and value.is_integer():
        return {**config, name: whole(value)}
    if type(value) is not str or _EXPRESSION in value:
        return config
    words, parse = _UNITS[unit]
    try:
        return {**config, name: parse(value)}
    except ValueError:
        place = (*path, name)
        notes.error(place, f"{label(place)} must be {words}, not {described(value)}")
        return {key: entry for key, entry in config.items() if key != name}
