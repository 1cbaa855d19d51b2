"""HTTP as a face of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import Socket


@pytest.fixture
def api(home: Path) -> Socket:
    """Return what speaks HTTP to the server of `windlass`."""
    return Socket(home)
