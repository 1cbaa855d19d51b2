"""Documents are current, and what they point at is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from markdown_it import MarkdownIt

from tests.repository.tree import ROOT, text_of, tracked
from tools.generated_docs import DOCS, GENERATED
from windlass.model.state import RunState, TaskState


@pytest.mark.parametrize("name", GENERATED)
def test_generated_documents_are_current(name: str) -> None:
    assert (DOCS / name).read_text() == GENERATED[name](), "`make docs` writes it anew"


def test_the_state_machine_shows_every_state_and_its_way_out() -> None:
    run, task = re.findall(r"^```mermaid\n(.+?)^```", (DOCS / "state-machine.md").read_text(), re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^    (\w+) -->", run, re.MULTILINE)) == set(get_args(RunState))
    assert set(re.findall(r"^    (\w+) -->", task, re.MULTILINE)) == set(get_args(TaskState))


def test_the_changelog_takes_in_what_is_not_released() -> None:
    assert re.search(r"^## \[Unreleased\]$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def links_of(file: Path) -> list[str]:
    tokens = [child for token in MarkdownIt().parse(text_of(file)) for child in token.children or ()]
    addresses = [token.attrGet("href") or token.attrGet("src") for token in tokens]
    return [str(address) for address in addresses if address and "://" not in str(address)]


def anchors_of(file: Path) -> set[str]:
    """Return the names of the headings of `file`, made as code hosts make them."""
    tokens = MarkdownIt().parse(text_of(file))
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", tracked(".md"), ids=str)
def test_links_between_documents_resolve(file: Path) -> None:
    broken = []
    for link in links_of(file):
        name, _, anchor = link.partition("#")
        target = (ROOT / file.parent / name).resolve() if name else ROOT / file
        if not target.exists() or not target.is_relative_to(ROOT) or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_document_is_in_the_index() -> None:
    index = Path("docs/README.md")
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links_of(index)}
    missing = [str(file) for file in tracked(".md") if file.parts[0] == "docs" and (ROOT / file) not in listed]
    assert [file for file in missing if file != str(index)] == [], "docs/README.md lists all documents"
