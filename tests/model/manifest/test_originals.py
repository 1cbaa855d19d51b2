"""Real manifests of other systems lint clean; what has no meaning here is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from windlass.model.manifest.load import Loaded

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "caesium"
FILES = sorted(FOLDER.rglob("*.yaml"))

pytestmark = [pytest.mark.originals, pytest.mark.skipif(not FILES, reason="the files of the originals are not here")]

#: All that lint may name in these files.
NOT_ACTED_ON = {
    "automountServiceAccountToken",
    "datasets",
    "inputSchema",
    "kueue",
    "outputSchema",
    "podAnnotations",
    "remediation",
    "schemaValidation",
    "serviceAccountName",
}


@pytest.mark.promise("C01")
@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_it_lints_without_errors(file: Path, loaded: Callable[[bytes], Loaded]) -> None:
    found = loaded(file.read_bytes())
    assert found.errors == ()
    assert len(found.documents) == file.read_text().count("kind: Job")
    named = {
        warning.message.removeprefix("known and not acted on: ")
        for warning in found.warnings
        if warning.message.startswith("known and not acted on: ")
    }
    assert named <= NOT_ACTED_ON
    assert named == {name for name in NOT_ACTED_ON if f"{name}:" in file.read_text()}


def test_all_of_them_are_there() -> None:
    assert len(FILES) == 17
