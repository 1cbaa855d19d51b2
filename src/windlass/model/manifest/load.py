"""Loading: from text to checked documents, with every finding in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.definition import Job
from windlass.model.did_you_mean import suggestion
from windlass.model.finding import Finding, Level, Position
from windlass.model.manifest.canonical import digest_of, to_job, to_json
from windlass.model.manifest.draft import Draft
from windlass.model.manifest.events import Parsed, parse
from windlass.model.manifest.fast import parse_fast
from windlass.model.manifest.filling import Filled, Template, fill, is_from_template
from windlass.model.manifest.foreign import translated
from windlass.model.manifest.inner_place import lines_of, place_within
from windlass.model.manifest.job_fields import JOB
from windlass.model.manifest.json_text import as_yaml, parse_json
from windlass.model.manifest.kinds import described
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.lint import lint
from windlass.model.manifest.locate import locate
from windlass.model.manifest.normalise import normalise
from windlass.model.manifest.other_kinds import SPECS, OtherDocument, other_document, read_other
from windlass.model.manifest.problem import Enough, Notes, Path, Problem
from windlass.model.manifest.text import decode
from windlass.model.manifest.written import written
from windlass.model.printable import printable

_LIMITS = Limits()
_SOME_STEP = {"name": "some"}
_NO_TEMPLATES: Mapping[str, Template] = {}
#: Findings of one text after which its further documents are not looked at.
_FINDINGS_IN_ALL = 2000
#: Characters of a sentence, and how many of its beginning and end are kept of a longer one.
_LONGEST_MESSAGE = 1000
_BEGINNING = 700
_END = 200
#: Kinds of documents that Windlass knows and that are not in force.
OTHER_KINDS = (
    "Intent", "JobRegistry", "JobBinding", "Component", "Target", "TargetGroup", "Credential", "Recipe",
    "GitSource", "Calendar", "NotificationChannel", "Policy", "Variable",
)  # fmt: skip


@dataclass(frozen=True)
class Document:
    """One job of a text, without errors."""

    #: Where it stands among the documents of its text, from 0.
    index: int
    canonical: Mapping[str, Any]
    digest: str
    #: Line at which it begins.
    line: int
    warnings: tuple[Problem, ...]

    @property
    def alias(self) -> str:
        """The job's name."""
        return str(self.canonical["metadata"]["alias"])

    @cached_property
    def job(self) -> Job:
        """The job that the document means."""
        return to_job(self.canonical)


@dataclass(frozen=True)
class Loaded:
    """What one text holds: the jobs that are sound, and all findings about it."""

    file: str
    text: str
    documents: tuple[Document, ...]
    #: What is wrong, each with the number of its document.
    problems: tuple[tuple[int, Problem], ...]
    #: What is not among the problems, because there are too many.
    rest: tuple[str, ...] = ()
    #: Sound documents of other kinds.
    others: tuple[OtherDocument, ...] = ()

    @property
    def ok(self) -> bool:
        """True where nothing is wrong; warnings do not count."""
        return all(problem.level != "error" for _, problem in self.problems)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All errors and warnings with their places, in the order of the text."""
        paths = [(number, *problem.path) for number, problem in self.problems if problem.mark is None]
        places = locate(self.text, paths) if paths else {}
        found = []
        for number, problem in self.problems:
            path, message = (number, *problem.path), problem.message
            inner = None
            if problem.within is not None and path in places and (scalar := places[path].scalar) is not None:
                inner = place_within(self._lines, scalar, problem.within)
            if inner is not None and problem.within is not None:
                message = message.removeprefix(f"line {problem.within.line}: ")  # the place says it
            line, column = inner or problem.mark or _place(places, path, problem.about)
            position = Position(self.file, line, column)
            found.append(Finding(problem.level, printable(_shortened(message)), position, problem.path))
        found.sort(key=_in_order)
        level: Level = "warning" if self.ok else "error"
        last = found[-1].position if found else None
        return (*found, *(Finding(level, message, last) for message in self.rest))

    @cached_property
    def _lines(self) -> Sequence[str]:
        return lines_of(self.text)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the text unusable."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that stop nothing."""
        return tuple(finding for finding in self.findings if finding.level == "warning")


def load(
    data: bytes | str,
    file: str,
    catalog: StepCatalog,
    limits: Limits = _LIMITS,
    templates: Mapping[str, Template] = _NO_TEMPLATES,
) -> Loaded:
    """Read the YAML or JSON of `data`, which `file` names in findings, and check every document in it.

    `templates` are those that jobs may be made from.

    Never raises on what is in `data`: all that is wrong is among the findings.
    """
    text, unreadable = decode(data, limits)
    if unreadable is not None:
        return Loaded(file, "", (), ((0, unreadable),))
    json = parse_json(text, limits)
    if json is not None:
        return _checked(file, as_yaml(text), json, catalog, limits, templates)
    plain = parse_fast(text, limits)
    if plain is not None:
        loaded = _checked(file, text, plain, catalog, limits, templates)
        if loaded.ok:
            return loaded
    return _checked(file, text, parse(text, limits), catalog, limits, templates)


def _checked(
    file: str,
    text: str,
    parsed: Parsed,
    catalog: StepCatalog,
    limits: Limits,
    templates: Mapping[str, Template],
) -> Loaded:
    """Check every document of a parsed text."""
    problems = [(0, problem) for problem in parsed.problems]
    rest: list[str] = []
    documents: list[Document] = []
    others: list[OtherDocument] = []
    lines: dict[Any, int] = {}
    for number, content in enumerate(parsed.documents):
        if content is None:
            continue
        notes = Notes(limits.findings)
        draft: Draft | dict[str, Any] | None = None
        foreign = translated(content, notes) if isinstance(content, dict) else None
        job = content if foreign is None else foreign.document
        filled: Filled | None = None
        try:
            filled = fill(job, templates, notes) if is_from_template(job) else None
            draft = _draft(job if filled is None else filled.document, catalog, limits, notes)
            _note_twin(draft, lines, parsed.starts[number][0], notes)
        except Enough:
            rest.append(f"checking stopped after {notes.errors:,} errors")
        for one in _placed(notes.problems, filled, job):
            path = one.path
            problems.append(
                (number, one if foreign is None else replace(one, path=foreign.original(path), within=None))
            )
        if notes.left_out:
            rest.append(f"{notes.left_out:,} more warnings are not shown")
        if len(problems) >= _FINDINGS_IN_ALL:
            rest.append(f"{len(parsed.documents) - number - 1:,} more documents were not checked")
            break
        if draft is None or notes.errors or parsed.problems:
            continue
        line, warnings = parsed.starts[number][0], tuple(notes.problems)
        if isinstance(draft, Draft):
            documents.append(Document(number, draft.canonical, digest_of(draft.json), line, warnings))
        else:
            others.append(other_document(number, draft, line, warnings))
    if not problems and not documents and not others:
        problems.append((0, Problem("error", "the text holds no document", mark=(1, 1))))
    return Loaded(file, text, tuple(documents), tuple(problems), tuple(rest), tuple(others))


def _placed(problems: Sequence[Problem], filled: Filled | None, own: Any) -> Iterator[Problem]:
    """Yield problems where they were written: in the document, or in the template that it is made from."""
    for one in problems:
        if filled is None:
            yield replace(one, path=written(own, one.path))
            continue
        path, theirs = filled.written(written(filled.document, one.path), own)
        if theirs is not None:
            place = f"(template {filled.template.name}, {filled.template.told(theirs)})"
            one = replace(one, message=f"{one.message} {place}")  # noqa: PLW2901 - the same problem, placed
        yield replace(one, path=path, within=None)  # the text may have been filled in


def _draft(content: Any, catalog: StepCatalog, limits: Limits, notes: Notes) -> Draft | dict[str, Any] | None:
    """Return what could be read of a document: of a job a draft, of another kind that is in force its content."""
    if is_from_template(content):
        JOB.read({"steps": [_SOME_STEP], **content}, notes, ())  # why it could not be filled is noted
        return None
    if isinstance(content, dict) and isinstance(content.get("kind"), str) and content["kind"] in SPECS:
        return read_other(content, notes)
    return _job(content, catalog, limits, notes)


def _note_twin(draft: Draft | dict[str, Any] | None, lines: dict[Any, int], line: int, notes: Notes) -> None:
    """Note that an earlier document of the text is the same; `lines` are those of the documents before."""
    if draft is None:
        return
    if isinstance(draft, Draft):
        field, kind, name = "alias", "job", draft.canonical["metadata"].get("alias")
    else:
        field, kind, name = "name", draft["kind"], draft["metadata"]["name"]
    first = lines.setdefault((kind, name), line)
    if name is not None and first != line:
        twice = f'"{name}" stands in this text twice, first at line {first}'
        notes.error(("metadata", field), f"the job {twice}" if kind == "job" else f"{kind} {twice}")


def _job(content: Any, catalog: StepCatalog, limits: Limits, notes: Notes) -> Draft | None:
    """Return what could be read of a document that is a job; everything wrong is in `notes`."""
    if not isinstance(content, dict):
        notes.error((), f"a document must be a mapping with apiVersion and kind, not {described(content)}")
        return None
    kind = content.get("kind")
    if kind in OTHER_KINDS:
        in_force = ", ".join(("Job", *SPECS))
        notes.error(("kind",), f"kind {kind} is known but its engine has not landed yet; in force are {in_force}")
        return None
    if isinstance(kind, str) and kind != "Job":
        near = suggestion(kind, ("Job", *SPECS, *OTHER_KINDS))
        notes.error(("kind",), f'unknown kind "{kind}"{near}')
        if "steps" not in content:
            return None
        content = {**content, "kind": "Job"}
    found = normalise(content, catalog, limits, notes)
    if found is None:
        return None
    canonical, numbers = found
    json = to_json(canonical)
    if len(json) > limits.canonical_bytes:
        notes.error((), f"the job has {len(json):,} bytes, over the limit of {limits.canonical_bytes:,}")
        return None
    draft = Draft(canonical, numbers, catalog, limits, json)
    lint(draft, notes)
    return draft


def _place(places: dict[Path, Any], path: Path, about: str) -> tuple[int, int]:
    """Return the place of the value or key at `path`, or of the nearest thing around it."""
    for length in range(len(path), 0, -1):
        place = places.get(path[:length])
        if place is not None:
            key, value, _ = place
            exact = length == len(path)
            mark: tuple[int, int] = key if key is not None and about == "key" and exact else value
            return mark
    return (1, 1)


def _shortened(message: str) -> str:
    """Return a sentence without the middle where it quotes more than one reads."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_BEGINNING]} ... {message[-_END:]}"


def _in_order(finding: Finding) -> tuple[int, int]:
    position = finding.position
    return (position.line, position.column) if position else (0, 0)
