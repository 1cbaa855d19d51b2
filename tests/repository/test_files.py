"""What holds for the files of the project, whatever is in them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.repository.tree import ROOT, text_of, tracked, tracked_files

LINES: Final = 500

#: Hosts of package registries, in pieces: this file must not hold them either.
HOSTS: Final = tuple(
    ".".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("deb", "nodesource", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
    )
)
#: Folders of people.
HOMES: Final = re.compile(r"(?<![\w.~}])/(?:" + "home" + "|" + "Users" + r")/[a-z][\w.-]*/")


def own_code() -> list[Path]:
    return [file for file in tracked(".py") if file.parts[0] in {"src", "tools"}]


def test_no_file_of_code_is_long() -> None:
    files = tracked(".py")  # tests and benches too
    long = {str(file): count for file in files if (count := len(text_of(file).splitlines())) > LINES}
    assert long == {}


def test_every_module_opens_with_one_sentence() -> None:
    silent = []
    for file in own_code():
        opening, _, rest = (ast.get_docstring(ast.parse(text_of(file))) or "").partition("\n")
        if not re.fullmatch(r".+[.:]", opening) and not (opening and rest.startswith("\n")):
            silent.append(str(file))
    assert silent == []


@pytest.mark.parametrize("script", [file for file in tracked_files() if text_of(file).startswith("#!/")], ids=str)
def test_scripts_can_be_run_and_parsed(script: Path) -> None:
    shebang = text_of(script).partition("\n")[0]
    assert shebang in {"#!/usr/bin/env bash", "#!/bin/sh", "#!/usr/bin/env python3"}
    assert os.access(ROOT / script, os.X_OK)
    if shebang.endswith("sh"):
        subprocess.run(["/bin/bash", "-n", ROOT / script], check=True)


def test_no_file_names_a_package_registry() -> None:
    named = [(str(file), host) for file in tracked_files() for host in HOSTS if host in text_of(file)]
    assert named == []


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    named = [(str(file), found[0]) for file in tracked_files() if (found := HOMES.search(text_of(file)))]
    assert named == []


def test_no_file_names_the_place_of_this_copy() -> None:
    places = [str(place) for place in (ROOT, Path.home()) if len(place.parts) > len(("/", "one", "two"))]
    named = [(str(file), place) for file in tracked_files() for place in places if place in text_of(file)]
    assert named == []
