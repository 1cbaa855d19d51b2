"""The guide to manifests shows every field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from tests.docs.runner import blocks
from tests.repository.tree import ROOT
from windlass.model.catalog import StepCatalog
from windlass.model.in_force import JOB_FIELDS, NOT_ACTED_ON, SECRET_SOURCES, STEP_FIELDS, TRIGGERS
from windlass.model.manifest.job_fields import FROM, JOB, METADATA
from windlass.model.manifest.kinds import Either, Kind, Listing, MapOf
from windlass.model.manifest.record import Record, RecordBearer
from windlass.model.manifest.trigger_fields import CONFIGURATIONS, TRIGGER

GUIDE: Final = ROOT / "docs" / "guide" / "manifests.md"
#: A field, wherever it may be written: its key, and what the table says of it.
FieldName = tuple[str, str]
#: What the guide tells without an example: another spelling of `triggers`, and what is refused.
TOLD: Final = {
    *((key, JOB.fields[key].summary) for key in ("from", "trigger")),
    *((key, field.summary) for key, field in FROM.fields.items()),
    ("cache", METADATA.fields["cache"].summary),
}


class Core(yaml.SafeLoader):
    """Reads `on` as text, as manifests are read."""


Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def fields(kind: Kind) -> Iterator[FieldName]:
    """Yield every field that `kind` leads to."""
    yield from _fields(kind, set())


def _fields(kind: Kind, seen: set[int]) -> Iterator[FieldName]:
    if isinstance(kind, Record):
        if id(kind) not in seen:
            seen.add(id(kind))
            for key, field in kind.fields.items():
                if key not in NOT_ACTED_ON and (field.name is None or field.name not in kind.fields):
                    yield key, field.summary
                yield from _fields(field.kind, seen)
    else:
        for inner in _inner(kind):
            yield from _fields(inner, seen)


def _inner(kind: Kind) -> list[Kind]:
    if kind is TRIGGER:
        return [TRIGGER.record, *CONFIGURATIONS.values()]
    if isinstance(kind, RecordBearer):
        return [kind.record]
    if isinstance(kind, Listing):
        return [kind.item]
    if isinstance(kind, MapOf):
        return [kind.value]
    return list(kind.by_type.values()) if isinstance(kind, Either) else []


def used(kind: Kind, value: Any) -> Iterator[FieldName]:
    """Yield the fields of `kind` that `value` has."""
    if isinstance(kind, Record):
        for key in set(kind.fields).intersection(value) if isinstance(value, dict) else ():
            yield key, kind.fields[key].summary
            yield from used(kind.fields[key].kind, value[key])
    elif kind is TRIGGER:
        yield from used(TRIGGER.record, value)
        yield from used(CONFIGURATIONS[value["type"]], value.get("configuration"))
    else:
        inside = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        for inner in _inner(kind):
            for entry in inside if isinstance(kind, Listing | MapOf) else [value]:
                yield from used(inner, entry)


def test_every_field_has_an_example() -> None:
    texts = [block.content for block in blocks(GUIDE.read_text()) if block.is_job]
    manifests = [one for text in texts for one in yaml.load_all(text, Core)]
    shown = {field for manifest in manifests for field in used(JOB, manifest)}
    assert sorted(set(fields(JOB)) - shown - TOLD) == []


def test_what_is_told_without_an_example_has_none() -> None:
    assert set(fields(JOB)) >= TOLD


def test_the_guide_lists_what_is_not_yet_in_force() -> None:
    section = GUIDE.read_text().partition("## Read, kept, and not yet in force")[2].partition("```yaml")[0]
    catalog = StepCatalog()
    types = {name for name in catalog if not catalog[name].in_force}
    told = set(re.findall(r"^- .*?(?=^- |\n\n)", section, re.MULTILINE | re.DOTALL))
    named = {name for item in told for name in re.findall(r"`([^`]+)`", item)}
    assert named == {*JOB_FIELDS, *STEP_FIELDS, *TRIGGERS, *SECRET_SOURCES, *types}
