"""What commands about documents of every kind have in common: policies, templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from windlass.cli.output import detail_lines, to_yaml
from windlass.cli.session import Session
from windlass.cli.several import found as found_all
from windlass.cli.text import local_time, plain


def show_document(
    session: Session, collection: str, name: str, *, noun: str, content: Callable[[Mapping[str, Any]], Any]
) -> None:
    """Show a document of a collection of the API: what it is called, and of its `content` what is to be seen."""
    with session.connect() as client:
        found = client.get(collection, name, project=session.project)
    session.out.value(found, lambda: _lines(found, noun, content(found)))


def delete_documents(session: Session, collection: str, names: Sequence[str]) -> None:
    """Delete documents of a collection of the API one by one, once all of them are found, and say so."""
    deleted: list[dict[str, Any]] = []
    with session.connect() as client:
        for one in found_all(client, collection, names, project=session.project):
            deleted.append(client.delete(collection, one["name"], project=session.project))
            session.out.done(f"Deleted {one['name']}.")
    if session.out.format != "table":
        session.out.value(deleted, tuple)


def _lines(document: Mapping[str, Any], noun: str, content: Any) -> Iterator[str]:
    yield from detail_lines(
        [
            (noun, document["name"]),
            ("kind", document["kind"]),
            ("project", document["project"]),
            ("labels", plain(document["labels"] or None)),
            ("source", plain(document["provenance"])),
            ("updated", local_time(document["updatedAt"])),
        ]
    )
    yield ""
    yield from to_yaml(content).splitlines()
