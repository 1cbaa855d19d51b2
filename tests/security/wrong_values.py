"""Manifests with one wrong value each, made from the schema: every field with every wrong type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.events import parse
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.schema import job_schema

Spot = tuple[str | int, ...]
#: A value of every type, and of those that people write by mistake.
VALUES: Final[tuple[Any, ...]] = (
    True, 0, -1, 1.5, 10**18, "", "no", "1:30", "\u202e\x1b[31m", [], [[]], [None], {}, {"": {}}, {"a": [{"b": 1}]},
)  # fmt: skip
_EVERYTHING: Final = Path(__file__).parents[1] / "model" / "manifest" / "everything.yaml"
_HEAD: Final = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "a"}, "steps": [{"name": "s", "run": "x"}]}


@dataclass(frozen=True, slots=True)
class Wrong:
    """A manifest and the place of the value in it that no reading may accept."""

    manifest: Mapping[str, Any]
    spot: Spot

    def text(self, alias: str) -> str:
        """Return the manifest on one line; a job that is not nameless gets a name of its own."""
        metadata = self.manifest.get("metadata")
        if self.spot[0] != "metadata":
            return json.dumps({**self.manifest, "metadata": {"alias": alias}})
        is_named = isinstance(metadata, dict) and self.spot[1:2] not in {("alias",), ("name",)}
        return (
            json.dumps(self.manifest).replace('"alias": "a"', f'"alias": "{alias}"')
            if is_named
            else json.dumps(self.manifest)
        )


def wrong_manifests() -> Iterator[Wrong]:
    """Yield every field of a manifest with everything, and of every step type, with all values that it may not have."""
    schema = job_schema(StepCatalog())
    is_valid = jsonschema_rs.validator_for(schema).is_valid
    for manifest, spots in (*_parts(), *_configs(schema["$defs"])):
        assert is_valid(manifest)
        for spot in spots:
            for value in VALUES:
                changed = _with(manifest, spot, value)
                # What stands in a command is read as the text that it would be there, which the schema does not say.
                if not is_valid(changed) and not ("command" in spot and isinstance(value, int | float | str)):
                    yield Wrong(changed, spot)


def _parts() -> Iterator[tuple[dict[str, Any], list[Spot]]]:
    """Yield small manifests, each with one field of the job or one step out of those that have every field."""
    yield _HEAD, [*_spots(_HEAD)]
    for document in parse(_EVERYTHING.read_text(), Limits()).documents:
        for name, value in document.items():
            if name == "steps":
                for step in value:
                    edges = {"next", "dependsOn", "branch", "triggerRule"}
                    alone = {key: value for key, value in step.items() if key not in edges}
                    yield {**_HEAD, "steps": [alone]}, [*_spots(alone, ("steps", 0))]
            elif name not in ("apiVersion", "kind"):
                yield (
                    {**_HEAD, name: value},
                    [(name,), *(_spots(value, (name,)) if isinstance(value, dict | list) else ())],
                )


def _configs(definitions: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[Spot]]]:
    """Yield a manifest for each step type, and the fields of its config."""
    for name in StepCatalog():
        fields = definitions[name]["properties"]
        yield (
            {**_HEAD, "steps": [{"name": "s", "type": name, "config": {}}]},
            [("steps", 0, "config", field) for field in fields],
        )


def _spots(value: Any, before: Spot = ()) -> Iterator[Spot]:
    """Yield the places of all values inside of `value`."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*before, key)
        if isinstance(inner, dict | list):
            yield from _spots(inner, (*before, key))


def _with(manifest: Mapping[str, Any], spot: Spot, value: Any) -> dict[str, Any]:
    changed: Any = deepcopy(dict(manifest))
    place = changed
    for key in spot[:-1]:
        place = place[key]
    place[spot[-1]] = value
    return dict(changed)
