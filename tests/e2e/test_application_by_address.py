"""An application that works through the server which WINDLASS_URL names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.stage import ended, line_of
from tests.fixtures.program import Windlass

pytestmark = [pytest.mark.promise("H13"), pytest.mark.timeout(120)]

SHOP = """import asyncio, os
from windlass import Windlass, job

app = Windlass(os.environ.get("OWN_STORE"))


@job
async def who() -> dict:
    return {"pid": os.getpid()}


app.register(who)


async def main():
    async with app:
        run = await app.submit(who)
        print(run.id, flush=True)
        print((await run.wait(40))["pid"])


if __name__ == "__main__":
    asyncio.run(main())
"""


def shop(windlass: Windlass, address: str, **more: str) -> subprocess.Popen[str]:
    """Start the application in a folder without a store of its own."""
    (windlass.folder / "shop.py").write_text(SHOP)
    env = windlass.env | {"WINDLASS_URL": address, "WINDLASS_HOME": str(windlass.folder / "nothing"), **more}
    return subprocess.Popen(
        [sys.executable, "shop.py"],
        cwd=windlass.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_server_takes_its_runs_and_a_worker_with_its_code_runs_them(windlass: Windlass) -> None:
    address = line_of(windlass.start("up", env={"WINDLASS_WORKER_SLOTS": "2"}).stdout, "ready").split()[1]
    program = shop(windlass, address)
    assert program.stdout is not None
    run = program.stdout.readline().strip()
    waits = windlass("--json", "run", "get", run).json()["waitingFor"]
    assert (waits["worker"]["app"], waits["others"]) == ("shop", 1)
    worker = windlass.start("worker", "--app", "shop:app")
    line_of(worker.stdout, "ready")
    assert program.communicate(timeout=50)[0] == f"{worker.pid}\n"
    assert ended(windlass, run)["outputs"] == {"pid": worker.pid}
    assert not (windlass.folder / "nothing").exists(), "it opened no store of its own"


def test_the_programs_own_store_goes_before_it(windlass: Windlass, tmp_path: Path) -> None:
    program = shop(windlass, f"unix://{tmp_path}/nowhere.sock", OWN_STORE=f"sqlite:///{tmp_path}/own.db")
    out, _ = program.communicate(timeout=50)
    assert out.splitlines()[1] == str(program.pid)


def test_where_nobody_listens_is_said_in_one_sentence(windlass: Windlass, tmp_path: Path) -> None:
    _, told = shop(windlass, f"unix://{tmp_path}/nowhere.sock").communicate(timeout=50)
    assert told.splitlines()[-1].endswith("nowhere.sock, which WINDLASS_URL names; start the server.")
