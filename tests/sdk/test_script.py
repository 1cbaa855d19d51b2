"""Applications as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import asyncio
from windlass import Job, RunNotCompleted, Windlass, job

class Add(Job[list[int], int]):
    async def execute(self, context, progress):
        return sum(context)

@job
def shout(text: str) -> str:
    return text.upper()

@job(isolation="process")
def isolated() -> None: ...

async def main():
    async with Windlass("sqlite:///jobs.db") as app:
        print(await (await app.submit(Add, [1, 2, 3])).wait(20))
        print(await (await app.submit(shout, "hello")).wait(20))
        try:
            await app.submit(isolated)
        except ValueError as error:
            print(error)
        except Exception as error:
            print(type(error).__name__, error)

asyncio.run(main())
"""
SAID = """6
HELLO
UserError Job "isolated" is to run in a process of its own, which cannot import MODULE:isolated: \
move it from the script into a module that the script imports, or use isolation `thread` or `inline`.
"""


def run(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
    return subprocess.run(
        [sys.executable, *arguments], input=text, capture_output=True, text=True, cwd=folder, env=env, timeout=50,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("by", ["file", "standard input"])
def test_a_script_is_a_whole_application(tmp_path: Path, by: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    found = run(tmp_path, "script.py") if by == "file" else run(tmp_path, "-", text=SCRIPT)
    said = SAID.replace("MODULE", "script" if by == "file" else "__main__")
    assert (found.stdout, found.stderr, found.returncode) == (said, "", 0)
    assert oct((tmp_path / "jobs.db").stat().st_mode & 0o777) == "0o600"


def test_what_defines_jobs_imports_no_engine(tmp_path: Path) -> None:
    heavy = ("sqlalchemy", "orjson", "msgspec", "asyncio", "windlass.engine", "windlass.store", "windlass.sdk.app")
    program = f"import sys; from windlass import Job, RetryPolicy, job; print([m for m in {heavy} if m in sys.modules])"
    assert run(tmp_path, "-c", program).stdout == "[]\n"
