"""What the document on the architecture lists is what there is."""

from __future__ import annotations

import re

from tests.repository.tree import ROOT


def test_the_loops_are_those_of_the_engine() -> None:
    table = (ROOT / "docs" / "architecture.md").read_text().partition("| loop | its duty |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    services = ROOT / "src" / "windlass" / "engine" / "services"
    assert sorted(listed) == sorted(file.stem for file in services.glob("[a-z]*.py"))
