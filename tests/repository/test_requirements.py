"""What is installed is pinned, checked by hash, and there for a reason that is written down."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.tree import ROOT, text_of, tracked

LOCKS = [file for file in tracked(".txt") if file.parent.name == "requirements"]
_PIN = re.compile(
    r"""^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)
        [^\n\\]*                                       # where it is needed
        (?P<hashes>(?:\\\n\ +--hash=sha256:[0-9a-f]{64}\ ?)*)""",
    re.MULTILINE | re.VERBOSE,
)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked_for(*groups: str) -> list[Requirement]:
    """Return what the program asks for, or with names of groups, what those do."""
    if not groups:
        return [Requirement(text) for text in project()["project"]["dependencies"]]
    found = []
    for group in groups:
        for entry in project()["dependency-groups"][group]:
            found += asked_for(entry["include-group"]) if isinstance(entry, dict) else [Requirement(entry)]
    return found


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return {canonicalize_name(pin["name"]): pin["version"] for pin in _PIN.finditer(text)}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_every_pin_has_hashes_and_no_lock_has_an_address(lock: Any) -> None:
    text = text_of(lock)
    assert [pin["name"] for pin in _PIN.finditer(text) if not pin["hashes"]] == []
    rest = [line for line in _PIN.sub("", text).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert rest == []
    assert "://" not in text


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("run", asked_for()),
        ("setup", asked_for("setup")),
        ("dev", [*asked_for(), *asked_for("dev")]),
    ],
    ids=["run", "setup", "dev"],
)
def test_the_locks_follow_the_project(lock: str, wanted: list[Requirement]) -> None:
    pinned = pins(lock)
    behind = [str(w) for w in wanted if not w.specifier.contains(pinned.get(canonicalize_name(w.name), "0"))]
    assert behind == [], f"`make lock` brings requirements/{lock}.txt up to date"


def test_the_locks_agree_with_each_other() -> None:
    assert pins("run").items() <= pins("dev").items()
    assert pins("setup").items() <= pins("dev").items()


def test_every_dependency_has_its_reason() -> None:
    table = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    reasons = set(re.findall(r"^\| `([\w.-]+)` \| \S.+ \|$", table, re.MULTILINE))
    wanted = {requirement.name for requirement in [*asked_for(), *asked_for(*project()["dependency-groups"])]}
    assert wanted - reasons == set(), "these have no line in docs/decisions/0002-dependencies.md"
    assert reasons - wanted == set(), "these have a line there but are not asked for"
