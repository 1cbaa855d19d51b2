"""The guide names everything that an application may call."""

from __future__ import annotations

import re

import pytest

from tests.repository.tree import ROOT
from windlass.sdk.app import Windlass
from windlass.sdk.run import Run


def names(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name))]


@pytest.mark.parametrize("name", [*names(Windlass), *names(Run)])
def test_every_public_method_is_in_the_guide(name: str) -> None:
    guide = (ROOT / "docs" / "guide" / "python.md").read_text()
    assert re.search(rf"`[^`]*\b{name}\(", guide, re.DOTALL)


def test_there_are_methods_to_look_for() -> None:
    assert {"dead_letters", "requeue", "register", "send_event"} <= set(names(Windlass))
