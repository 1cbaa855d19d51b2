"""Texts that are made to hurt: each is refused in one clear sentence, in little time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.model.manifest.hostile_texts import HEAD, TEXTS, steps
from windlass.model.manifest.load import Loaded

pytestmark = pytest.mark.promise("C02")


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_refused_in_one_sentence(name: str, loaded: Callable[[str | bytes], Loaded]) -> None:
    text, sentence = TEXTS[name]
    found = loaded(text)
    assert not found.ok
    assert found.documents == ()
    assert any(str(error).removeprefix("f:").startswith(sentence) for error in found.errors), found.errors[:3]


_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from hostile_texts import TEXTS
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load
catalog = StepCatalog()
for text, _ in TEXTS.values():
    assert load(text, "f", catalog).findings
"""
_CPU_SECONDS = 60
_MEMORY_BYTES = 1024**3


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def test_all_of_it_together_stays_within_limits_of_time_and_memory(request: pytest.FixtureRequest) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(request.path.parent)],
        preexec_fn=_limited,
        check=False,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-2000:]


def test_twenty_thousand_steps_are_fine(loaded: Callable[[str], Loaded]) -> None:
    found = loaded(HEAD + steps(20_000))
    assert found.findings == ()
    assert len(found.documents[0].job.steps) == 20_000
