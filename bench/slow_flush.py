"""The same machine with a slower disk: every flush takes as long as asked for, for whoever is measured."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.children import NotMeasured, disk, flushes

_SOURCE: Final = Path(__file__).with_suffix(".c")


def slowed(seconds: float) -> dict[str, str]:
    """Return the environment in which a flush takes `seconds`, or as long as here where that is more.

    Raises NotMeasured where there is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotMeasured("there is no C compiler (apt install gcc), so no slower disk could be measured")
    library = disk() / "slow_flush.so"
    if not library.exists() or library.stat().st_mtime < _SOURCE.stat().st_mtime:
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(command, check=True)  # noqa: S603 - a program of our own choice
    more = max(0.0, seconds - 1 / flushes())
    return {"LD_PRELOAD": str(library), "FLUSH_DELAY_NS": str(round(more * 1e9))}
