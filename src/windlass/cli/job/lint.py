"""`windlass job lint`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from windlass.cli.command import make
from windlass.cli.job.apply import note_left_out
from windlass.cli.manifest_files import ManifestFile, find_manifests
from windlass.cli.options import FILE
from windlass.cli.session import Session
from windlass.cli.text import one_line

if TYPE_CHECKING:
    from windlass.model.finding import Finding

#: Where a word begins within the name of a kind.
_WORDS: Final = re.compile("(?<=[a-z])([A-Z])")
_EXAMPLES = """
windlass job lint orders.yaml
windlass job lint jobs/ --json
"""


@make(name="lint", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
def command(session: Session, *, files: tuple[str, ...]) -> int:
    """Check files and report every error at once, as file:line:column: message.

    FILE is a file, a folder (everything below with apiVersion and kind), a glob, or - for standard input. Needs no
    server and no store. Exit status 1: there are errors.
    """
    found = find_manifests(files)
    note_left_out(session, found)
    errors, warnings, aliases, kinds = _check(session, found.files)
    result = {
        "errors": [_json(finding) for finding in errors],
        "warnings": [_json(finding) for finding in warnings],
        "documents": aliases,
    }
    session.out.value(result, lambda: [one_line(str(finding)) for finding in (*errors, *warnings)])
    warned = f", {_counted(len(warnings), 'warning')}" if warnings else ""
    told = f"{_counted(len(errors), 'error')}{warned}" if errors else f"{_what(kinds)} checked{warned}"
    if session.out.format == "table":
        session.out.note(told)
    return 1 if errors else 0


def _check(
    session: Session, files: list[ManifestFile]
) -> tuple[list[Finding], list[Finding], list[dict[str, Any]], list[str]]:
    # Checking is the engine's own; a process without a store asks it directly.
    from windlass.engine.manifests import ManifestText, load_manifests, manifest_limits  # noqa: PLC0415 - costs time

    texts = [ManifestText(file.name, file.data) for file in files]
    loaded = load_manifests(texts, session.program.catalog(), manifest_limits(session.settings))
    documents = [
        {"alias": one.document.alias, "file": one.file, "line": one.document.line, "digest": one.document.digest}
        for one in loaded.everything
    ]
    kinds = [getattr(one.document, "kind", "Job") for one in loaded.everything]
    return list(loaded.errors), list(loaded.warnings), documents, kinds


def _json(finding: Finding) -> dict[str, Any]:
    place = finding.position
    where = {} if place is None else {"file": place.file, "line": place.line, "column": place.column}
    return {"level": finding.level, "message": finding.message, "path": list(finding.path), **where}


def _what(kinds: Sequence[str]) -> str:
    """Return how many documents of each kind there are, jobs first."""
    counts = Counter(kinds) or {"Job": 0}
    first = sorted(counts, key=lambda kind: (kind != "Job", kind))
    return ", ".join(_counted(counts[kind], _WORDS.sub(r" \1", kind).lower()) for kind in first)


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"{number} {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"
