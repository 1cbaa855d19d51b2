"""The table of faults knows each fault that a test brings about, and names the files that do."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "faults"
ROWS = {
    fault: text
    for faults, text in re.findall(
        r"^\| (F\d+(?:, F\d+)*) \| (.*?) \|", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    for fault in faults.split(", ")
}


def test_every_fault_that_a_test_is_marked_with_has_a_row_in_the_readme() -> None:
    marked = {
        fault
        for file in FOLDER.rglob("test_*.py")
        for fault in re.findall(r'mark\.fault\("(F\d+)"\)', file.read_text())
    }
    assert marked - set(ROWS) == set()


def test_the_files_that_a_row_names_bring_its_fault_about() -> None:
    wrong = [
        f"{fault}: {name}"
        for fault, text in ROWS.items()
        for name in re.findall(r"`((?:fleet/)?test_\w+\.py)`", text)
        if f'fault("{fault}")' not in (FOLDER / name).read_text()
    ]
    assert wrong == []
