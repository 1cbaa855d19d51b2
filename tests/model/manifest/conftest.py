"""What the tests of manifests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import Document, Loaded, load

CATALOG = StepCatalog()


@pytest.fixture
def loaded() -> Callable[[str | bytes], Loaded]:
    """Return a function that loads a text with the built-in step types."""
    return lambda text: load(text, "f", CATALOG)


@pytest.fixture
def told() -> Callable[[str | bytes], list[str]]:
    """Return a function that gives all findings of a text as `line:column: message`."""
    return lambda text: [str(finding).removeprefix("f:") for finding in load(text, "f", CATALOG).findings]


@pytest.fixture
def document() -> Callable[[str | bytes], Document]:
    """Return a function that gives the only document of a sound text."""

    def only(text: str | bytes) -> Document:
        found = load(text, "f", CATALOG)
        assert found.errors == ()
        (one,) = found.documents
        return one

    return only
