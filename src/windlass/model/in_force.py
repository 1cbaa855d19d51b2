"""What manifests may ask for that no engine does yet: the one table. What lands is taken out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from windlass.model.secret_reference import SCHEME, source_of
from windlass.model.steptype import StepSpec

Path = tuple[str | int, ...]

#: Fields of a job whose engine has not landed.
JOB_FIELDS: Final = ("callbacks",)
#: Fields of a step whose engine has not landed.
STEP_FIELDS: Final = ("targets",)
#: Types of triggers that start nothing yet.
TRIGGERS: Final = ("cron", "http", "event")
#: Sources of secrets that cannot be asked yet.
SECRET_SOURCES: Final = ("vault", "k8s")
#: What `secret: true` of a parameter asks for beside hiding its value.
SEALED: Final = "sealed storage of secret parameters"
#: Step types whose engine has not landed say so in their spec: `in_force=False`.

#: Fields of other systems that are read, kept, and mean nothing here.
NOT_ACTED_ON: Final = (
    "datasets",
    "freshness",
    "remediation",
    "replaySafe",
    "outputSchema",
    "inputSchema",
    "schemaValidation",
    "serviceAccountName",
    "podAnnotations",
    "automountServiceAccountToken",
    "nodeSelector",
    "kueue",
)
_KEPT: Final = frozenset(NOT_ACTED_ON)


def not_in_force(canonical: Mapping[str, Any], catalog: Mapping[str, StepSpec]) -> list[tuple[Path, str]]:
    """Return what canonical content asks for that no engine does yet: each name once, with its first place."""
    found: dict[str, Path] = {}
    for path, name in _asked(canonical, catalog):
        found.setdefault(name, path)
    return [(path, name) for name, path in found.items()]


def not_acted_on(canonical: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Return the fields of other systems in canonical content: each name once, with its first place."""
    found: dict[str, Path] = {}
    for name in canonical.get("metadata", {}):
        if name in _KEPT:
            found.setdefault(name, ("metadata", name))
    for number, trigger in enumerate(canonical.get("triggers", ())):
        if trigger["type"] in _KEPT:
            found.setdefault(trigger["type"], ("triggers", number, "type"))
    for number, step in enumerate(canonical["steps"]):
        for name in () if _KEPT.isdisjoint(step) else _KEPT.intersection(step):
            found.setdefault(name, ("steps", number, name))
    return [(path, name) for name, path in found.items()]


def _asked(canonical: Mapping[str, Any], catalog: Mapping[str, StepSpec]) -> Iterator[tuple[Path, str]]:
    for number, trigger in enumerate(canonical.get("triggers", ())):
        if trigger["type"] in TRIGGERS:
            yield ("triggers", number, "type"), f"{trigger['type']} triggers"
    for name in JOB_FIELDS:
        if name in canonical:
            yield (name,), name
    for name, schema in canonical.get("parameters", {}).items():
        if schema.get("secret") is True:
            yield ("parameters", name, "secret"), SEALED
    for number, step in enumerate(canonical["steps"]):
        for path, name in _asked_by_step(step, catalog):
            yield ("steps", number, *path), name


def _asked_by_step(step: Mapping[str, Any], catalog: Mapping[str, StepSpec]) -> Iterator[tuple[Path, str]]:
    kind = step.get("type", "")
    spec = catalog.get(kind)
    if spec is not None and not spec.in_force:
        yield ("type",), kind
    for name in STEP_FIELDS:
        if name in step:
            yield (name,), name
    for part in ("env", "config"):
        if part in step:
            for name, value in step[part].items():
                if isinstance(value, str) and value.startswith(SCHEME) and source_of(value) in SECRET_SOURCES:
                    yield (part, name), f"{SCHEME}{source_of(value)}"
