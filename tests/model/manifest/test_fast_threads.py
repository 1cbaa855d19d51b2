"""The fast parser is loaded by the main thread alone, whichever thread reads first."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = r"""
import sys, threading

def read():
    from windlass.model.catalog import StepCatalog
    from windlass.model.manifest.load import load
    text = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\nsteps:\n  - {name: a, run: ls}\n"
    for _ in range(50):
        loaded = load(text, "a.yaml", StepCatalog())
        assert loaded.ok and len(loaded.documents) == 1

if sys.argv[1] == "main":
    read()
for _ in range(8):
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
print("yaml_rs" in sys.modules)
read()
print("yaml_rs" in sys.modules)
"""


@pytest.mark.parametrize(("first", "loaded"), [("main", "True\nTrue\n"), ("thread", "False\nTrue\n")])
def test_threads_that_end_take_no_parser_with_them(first: str, loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, first], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, loaded), done.stderr
