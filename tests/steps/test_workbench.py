"""What is shipped for the tests of step types does what it says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from windlass.model.outcome import Cancelled, Completed, Failed
from windlass.steps.contract import Stream
from windlass.steps.fake_processes import FakeProcesses, Script
from windlass.steps.process import Process
from windlass.steps.workbench import RecordedLog, step_context

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "steps.md"


async def test_scripted_processes_stand_in_for_real_ones(tmp_path: Path) -> None:
    log = RecordedLog()
    host = FakeProcesses.playing(
        [
            Script(stdout=b"x" * 200_000 + b'\n##windlass::output {"rows": 1}\n', stderr=b"oh"),
            Script(status=-9),
            Script(status=1, out_of_memory=True),
            Script(error=FileNotFoundError(2, "No such file or directory")),
        ]
    )
    outcomes = [await Process().run(step_context(tmp_path, host, log=log), {"command": ["x"]}) for _ in range(4)]
    assert outcomes[0] == Completed({"rows": 1}, 0)
    assert outcomes[1] == Failed("exit", "it was ended by SIGKILL", 137)
    assert outcomes[2] == Failed("exit", "it was killed because memory ran out", 137, reason="oom")
    assert isinstance(outcomes[3], Failed)
    assert len(log.text("stdout")) > 200_000
    assert [command.argv for command in host.commands] == [["x"]] * 4


async def test_a_scripted_process_that_hangs_is_stopped(tmp_path: Path) -> None:
    host = FakeProcesses.playing([Script(stdout=b"begun", hangs=True)])
    context = step_context(tmp_path, host, log=CancelAtOnce())
    assert isinstance(context.log, CancelAtOnce)
    context.log.cancelled = context.cancelled
    assert await Process().run(context, {"command": ["x"]}) == Cancelled()
    assert host.children[0].stopped


async def test_the_step_type_of_the_guide_works(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code
    names: dict[str, type] = {}
    exec(code[1], names)  # noqa: S102 - our own document
    log = RecordedLog()
    greet = names["Greet"]()
    assert await greet.run(step_context(tmp_path, FakeProcesses(), log=log), {"name": "you"}) == Completed(
        {"greeted": "you"}
    )
    assert log.text() == "hello you\n"


class CancelAtOnce(RecordedLog):
    """A log whose first line asks for the end."""

    cancelled: asyncio.Event

    async def write(self, data: bytes, stream: Stream = "stdout") -> None:
        """Ask for the end."""
        await super().write(data, stream)
        self.cancelled.set()
