"""What all tests share: fixtures from tests/fixtures, the record of promises, settings of hypothesis."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings

pytest_plugins = [
    "pytester",
    "tests.promises_plugin",
    *(f"tests.fixtures.{file.stem}" for file in sorted(Path(__file__).parent.glob("fixtures/[a-z]*.py"))),
]

# No deadline: a busy machine is no defect. The blob that is printed replays a failure exactly.
settings.register_profile("windlass", deadline=None, print_blob=True)
settings.load_profile("windlass")
