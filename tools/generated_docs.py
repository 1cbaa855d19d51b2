"""Writes the documents that are made from the code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools import metric_list, settings_list, state_machine
from tools.scaling import document, picture
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.reference import schema_markdown

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"

#: File below docs/ and what makes its text.
GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "guide/fields.md": lambda: schema_markdown(StepCatalog()),
    "guide/metrics.md": metric_list.render,
    "guide/settings.md": settings_list.render,
    "scaling.md": document.render,
    "images/bursts.svg": picture.render,
    "state-machine.md": state_machine.render,
}


def main() -> None:
    """Write every document whose text has changed, and name it."""
    for name, render in GENERATED.items():
        file, text = DOCS / name, render()
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(f"docs: wrote {file.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
