"""Runs the job of the demo on a terminal and writes docs/images/run.svg: `make picture`."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tools.moving_picture import moving_picture
from tools.terminal import record

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURE: Final = ROOT / "docs" / "images" / "run.svg"
_JOB: Final = "examples/code-atlas/atlas.yaml"
_COLUMNS: Final = 96


def main() -> None:
    """Run the job with a store of its own, draw what the terminal showed, and say where."""
    with TemporaryDirectory() as home:
        environment = {
            "COLORTERM": "truecolor",
            "HOME": home,
            "LANG": "C.UTF-8",
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "WINDLASS_HOME": f"{home}/windlass",
        }
        command = ("windlass", "exec", _JOB, "-p", f"out={home}/out")
        frames = record(command, ROOT, environment, columns=_COLUMNS, lines=30)
    PICTURE.parent.mkdir(exist_ok=True)
    label = "A run of the job code-atlas on a terminal: its steps as a graph, moving from pending to completed"
    PICTURE.write_text(moving_picture(frames, f"windlass exec {_JOB}", label, _COLUMNS))
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
