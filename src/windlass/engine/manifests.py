"""Manifests as they come in: texts with names, loaded and checked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.finding import Finding, Position
from windlass.model.manifest.filling import Template
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.load import Document, Loaded, load
from windlass.model.manifest.other_kinds import OtherDocument, template_of
from windlass.model.rates import Rate, other_limit, stated_in
from windlass.settings import Settings

_NO_TEMPLATES: Mapping[str, Template] = {}


@dataclass(frozen=True, slots=True)
class ManifestText:
    """One text that may hold several documents."""

    #: Its name in findings: the path of the file, `-` for standard input.
    file: str
    data: bytes | str


@dataclass(frozen=True, slots=True)
class Located:
    """A sound document with the file that it stands in."""

    file: str
    document: Document

    @property
    def place(self) -> Position:
        """Where the document begins."""
        return Position(self.file, self.document.line, 1)


@dataclass(frozen=True, slots=True)
class LocatedOther:
    """A sound document of another kind with the file that it stands in."""

    file: str
    document: OtherDocument

    @property
    def place(self) -> Position:
        """Where the document begins."""
        return Position(self.file, self.document.line, 1)


@dataclass(frozen=True, slots=True)
class Manifests:
    """What several texts hold together."""

    #: Sound documents with different names, in order.
    documents: tuple[Located, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    #: Sound documents of other kinds.
    others: tuple[LocatedOther, ...] = ()

    @property
    def everything(self) -> list[Located | LocatedOther]:
        """All sound documents, jobs first."""
        return [*self.documents, *self.others]


def names_template(text: ManifestText) -> bool:
    """Say whether a text may hold a template, or a job that is made from one: a quick look."""
    return "template" in text.data if isinstance(text.data, str) else b"template" in text.data


def load_manifests(
    texts: Sequence[ManifestText],
    catalog: StepCatalog,
    limits: Limits,
    stored: Mapping[str, Template] = _NO_TEMPLATES,
) -> Manifests:
    """Load and check `texts`; of two documents with one name in one call the later one is an error.

    Jobs may be made from templates among them, and from those that are `stored`.
    """
    templates = dict(stored)
    for text in texts:
        if _may_hold_template(text):
            found = load(text.data, text.file, catalog, limits)
            templates |= {one.name: template_of(one, text.file, found.text) for one in found.others if one.is_template}
    loaded = [load(text.data, text.file, catalog, limits, templates) for text in texts]
    errors = [finding for one in loaded for finding in one.errors]
    first: dict[str, Located] = {}
    for located in _documents(loaded):
        alias = located.document.alias
        earlier = first.setdefault(alias, located)
        if earlier is not located:
            message = f'job "{alias}" is in this call twice: the first one is at {earlier.place}'
            errors.append(Finding("error", message, located.place))
    warnings = (*(finding for one in loaded for finding in one.warnings), *_other_limits(list(first.values())))
    others: dict[str, LocatedOther] = {}
    for other in (LocatedOther(one.file, document) for one in loaded for document in one.others):
        earlier_other = others.setdefault(other.document.alias, other)
        if earlier_other is not other:
            message = f"{other.document.alias} is in this call twice: the first one is at {earlier_other.place}"
            errors.append(Finding("error", message, other.place))
    warnings = (*warnings, *_overruled(list(others.values())))
    return Manifests(tuple(first.values()), tuple(errors), warnings, tuple(others.values()))


def _overruled(others: Sequence[LocatedOther]) -> Iterator[Finding]:
    """Warn of retention policies that never act: one before them by name takes the same runs elsewhere."""
    known: dict[tuple[Any, ...], OtherDocument] = {}
    policies = [other for other in others if other.document.kind == "RetentionPolicy"]
    for other in sorted(policies, key=lambda one: one.document.name):
        spec = other.document.canonical["spec"]
        sets = (tuple(sorted(spec.get(name, ()))) for name in ("jobs", "states"))
        before = known.setdefault((*sets, spec.get("partition")), other.document)
        theirs, own = (one.get("to", "archive") for one in (before.canonical["spec"], spec))
        if theirs != own:
            message = (
                f"{other.document.alias} is about the same runs as {before.alias}, which comes first by its name "
                f"and says to: {theirs}; this one, to: {own}, never acts"
            )
            yield Finding("warning", message, other.place)


def _other_limits(documents: Sequence[Located]) -> Iterator[Finding]:
    """Warn of jobs that give a resource another limit than a job before them."""
    known: dict[str, tuple[str, Rate]] = {}
    for located in documents:
        alias = located.document.alias
        for name, rate in stated_in(located.document.canonical).items():
            other, theirs = known.setdefault(name, (alias, rate))
            if theirs != rate:
                yield Finding("warning", other_limit(name, rate, other, theirs), located.place)


def _may_hold_template(text: ManifestText) -> bool:
    return "JobTemplate" in text.data if isinstance(text.data, str) else b"JobTemplate" in text.data


def _documents(loaded: Sequence[Loaded]) -> list[Located]:
    return [Located(one.file, document) for one in loaded for document in one.documents]


def manifest_limits(settings: Settings) -> Limits:
    """Return the limits that the settings put on manifests."""
    return Limits(
        document_bytes=settings.max_document,
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        steps=settings.max_steps,
        edges=settings.max_edges,
        fan_out=settings.max_fan_out,
        parameter_bytes=settings.max_parameters,
        max_timeout=settings.max_timeout,
    )
