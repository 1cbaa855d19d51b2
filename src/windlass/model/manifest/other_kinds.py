"""Documents of other kinds than Job that are in force: what they may hold, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.model.manifest.canonical import digest_of, to_json
from windlass.model.manifest.kinds import INVALID, Choice, Kind, Listing, Text
from windlass.model.manifest.problem import Notes, Problem
from windlass.model.manifest.record import Field, Record
from windlass.model.manifest.words import ALIAS, DELAY, FINAL_STATE, LABELS, TEXT

_GLOB: Final = Text("the name of a job, in which * stands for anything", pattern=r"[a-z0-9_*?\[\]!-]{1,63}")
_RETENTION: Final = Record(
    "spec",
    {
        "states": Field(Listing(FINAL_STATE, single=True, unique=True, least=1), "final states; all if not said"),
        "jobs": Field(Listing(_GLOB, single=True, unique=True, least=1), "names of jobs, with *; all if not said"),
        "partition": Field(TEXT, "value of the label `partition` of a run"),
        "minAge": Field(DELAY, "time after its end at which a run leaves"),
        "to": Field(Choice("archive", "delete"), "where it goes", default="archive"),
    },
    required=("minAge",),
)
#: What stands under `spec`, by kind.
SPECS: Final[Mapping[str, Kind]] = {"RetentionPolicy": _RETENTION}
_METADATA: Final = Record(
    "metadata", {"name": Field(ALIAS, "unique among documents of its kind"), "labels": Field(LABELS, "labels")},
    required=("name",),
)  # fmt: skip


@dataclass(frozen=True)
class OtherDocument:
    """One document of another kind, without errors."""

    #: Where it stands among the documents of its text, from 0.
    index: int
    kind: str
    name: str
    canonical: Mapping[str, Any]
    digest: str
    #: Line at which it begins.
    line: int
    warnings: tuple[Problem, ...]

    @property
    def alias(self) -> str:
        """What it is called among all documents: its kind and its name."""
        return f"{self.kind}/{self.name}"


def read_other(content: Mapping[str, Any], notes: Notes) -> dict[str, Any] | None:
    """Return the canonical content of a document whose kind is one of `SPECS`; what is wrong is added to `notes`."""
    record = Record(
        f"a {content['kind']}",
        {
            "$schema": Field(TEXT, "for editors"),
            "apiVersion": Field(Choice("v1"), "v1"),
            "kind": Field(Choice(content["kind"]), "its kind"),
            "metadata": Field(_METADATA, "its name"),
            "spec": Field(SPECS[content["kind"]], "what it says"),
        },
        required=("apiVersion", "metadata", "spec"),
    )
    found = record.read(content, notes, ())
    if found is INVALID or notes.errors:
        return None
    canonical: dict[str, Any] = found
    canonical.pop("$schema", None)
    return canonical


def other_document(index: int, canonical: Mapping[str, Any], line: int, warnings: tuple[Problem, ...]) -> OtherDocument:
    """Return a document of canonical content without errors."""
    name = canonical["metadata"]["name"]
    return OtherDocument(index, canonical["kind"], name, canonical, digest_of(to_json(canonical)), line, warnings)
