"""Documents of other kinds than Job that are in force: what they may hold, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from windlass.model.manifest.canonical import digest_of, to_json
from windlass.model.manifest.filling import Template
from windlass.model.manifest.kinds import INVALID, Choice, Kind, Listing, MapOf, Text
from windlass.model.manifest.locate import locate
from windlass.model.manifest.parameter_fields import PARAMETER
from windlass.model.manifest.problem import Notes, Path, Problem
from windlass.model.manifest.record import Field, Record
from windlass.model.manifest.words import ALIAS, DELAY, FINAL_STATE, LABELS, MAPPING, TEXT

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
SPECS: Final[Mapping[str, Kind]] = {"JobTemplate": MAPPING, "RetentionPolicy": _RETENTION}
_METADATA: Final = Record(
    "metadata", {"name": Field(ALIAS, "unique among documents of its kind"), "labels": Field(LABELS, "labels")},
    required=("name",),
)  # fmt: skip

_PARAMETERS: Final = MapOf(
    PARAMETER, names=r"[A-Za-z_][A-Za-z0-9_]{0,127}", names_words="the name of a template's parameter"
)
_OF_TEMPLATE: Final = {"parameters": Field(_PARAMETERS, "what fills it")}


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
    def is_template(self) -> bool:
        """True where jobs can be made from it."""
        return self.kind == "JobTemplate"

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
            **(_OF_TEMPLATE if content["kind"] == "JobTemplate" else {}),
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


def template_of(document: OtherDocument, file: str, text: str) -> Template:
    """Return the template that a document of `text` is; its parts are placed in `file`."""

    def place(path: Path) -> str:
        found = locate(text, [(document.index, *path)])
        for length in range(len(path) + 1, 0, -1):
            marks = found.get((document.index, *path)[:length])
            if marks is not None:
                line, column = marks[1]
                return f"{file}:{line}:{column}"
        return f"{file}:{document.line}:1"

    return Template(
        document.name, document.canonical.get("parameters", {}), document.canonical["spec"], file, place=place
    )
