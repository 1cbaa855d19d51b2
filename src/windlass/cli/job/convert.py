"""`windlass job convert`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.job.apply import note_left_out
from windlass.cli.manifest_files import find_manifests
from windlass.cli.options import FILE
from windlass.cli.output import to_yaml
from windlass.cli.session import Session
from windlass.cli.text import one_line

_EXAMPLES = """
windlass job convert export.json > jobs.yaml
windlass job convert orders.yaml --json
"""


@make(name="convert", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
def command(session: Session, *, files: tuple[str, ...]) -> int:
    """Print jobs in their canonical form, whatever they are written in, and list what has no counterpart.

    Reads manifests, bundles, exports of OpsConductor and jobs of Charon. Needs no server and no store. Exit status 1:
    something cannot be read.
    """
    # Reading is the engine's own; a process without a store asks it directly.
    from windlass.engine.bundles import unpack  # noqa: PLC0415 - costs time
    from windlass.engine.manifests import ManifestText, load_manifests, manifest_limits  # noqa: PLC0415 - the same

    found = find_manifests(files)
    note_left_out(session, found)
    unpacked = unpack([ManifestText(file.name, file.data) for file in found.files])
    loaded = load_manifests(unpacked.texts, session.program.catalog(), manifest_limits(session.settings))
    for finding in (*loaded.errors, *loaded.warnings):
        session.out.error(one_line(str(finding)))
    for lost in unpacked.lost:
        session.out.warn(lost)
    documents = [dict(located.document.canonical) for located in loaded.documents]
    result = {"documents": documents, "lost": unpacked.lost, "errors": [str(error) for error in loaded.errors]}
    session.out.value(result, lambda: _told(documents))
    return 1 if loaded.errors else 0


def _told(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for document in documents:
        yield "---"
        yield to_yaml(document).rstrip("\n")
