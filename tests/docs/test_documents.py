"""What documents and examples show is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.runner import blocks, disagreements
from tests.fixtures.program import Windlass
from tests.repository.tree import text_of, tracked

DOCUMENTS = [file for file in tracked(".md") if file.parts[0] in {"README.md", "docs"} and blocks(text_of(file))]
EXAMPLES = [file for file in tracked(".yaml", ".yml") if file.parts[0] == "examples"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_blocks_of_a_document_do_what_they_show(document: Path, windlass: Windlass) -> None:
    told = list(disagreements(text_of(document), windlass.folder, windlass.env))
    assert told == [], "\n\n".join(told)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_what_a_document_takes_from_an_example_is_in_it(document: Path) -> None:
    examples = {file.name: text_of(file) for file in EXAMPLES}
    taken = [block for block in blocks(text_of(document)) if block.file in examples]
    assert [block.file for block in taken if block.content not in examples[str(block.file)]] == []
