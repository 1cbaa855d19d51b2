"""The programs that measure, each in a process of its own; peers in an environment of their own that is made first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.ending import bound, ended_after
from bench.settings import PATIENCE

ROOT: Final = Path(__file__).parents[1]
PEERS: Final = ROOT / "bench" / ".peers"


#: Seconds that the packages of a peer may take to be installed.
_INSTALLING: Final = 180


class NotMeasured(Exception):
    """A program that measures has failed; what it said is on standard error."""


def ours(mode: str, options: Mapping[str, Any], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Measure Windlass, with `env` besides; return the figures."""
    return _run([sys.executable, "-m", "bench.ours"], mode, options, env or {})


def measured(module: str, mode: str, options: Mapping[str, Any], patience: float = PATIENCE) -> dict[str, Any]:
    """Measure by another program of the bench, within `patience` seconds; return the figures."""
    return _run([sys.executable, "-m", module], mode, options, {}, patience)


def peer(
    name: str,
    mode: str,
    options: Mapping[str, Any],
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> dict[str, Any]:
    """Measure a peer by `bench/peers/on_NAME.py`; return the figures, its `version` among them.

    What stands behind an underscore in the name says on which store; the packages are the same.
    """
    program = [str(environment(name.partition("_")[0])), str(ROOT / "bench" / "peers" / f"on_{name}.py")]
    return _run(program, mode, options, {"PYTHONPATH": str(ROOT), **(env or {})}, patience)


def peer_if_any(name: str, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a peer that the row does without where it cannot be: then the figures are a sentence, `unmeasured`."""
    try:
        return peer(name, mode, options)
    except NotMeasured as error:
        return {"unmeasured": str(error)}
    except subprocess.TimeoutExpired as error:
        return {"unmeasured": f"on_{name}.py {mode} took longer than {error.timeout:g} s"}


def _run(
    program: list[str],
    mode: str,
    options: Mapping[str, Any],
    more: Mapping[str, str],
    patience: float = PATIENCE,
) -> dict[str, Any]:
    with new_folder("bench") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith("WINDLASS_")}
        env |= {"WINDLASS_HOME": f"{folder}/home", "HOME": folder, **more}
        said = json.dumps({**options, "folder": folder}).encode()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
        started = subprocess.Popen(bound([*program, mode]), cwd=ROOT, env=env, **pipes)  # noqa: S603 - programs of our own choice
        with started as process, ended_after(process):
            told, _ = process.communicate(said, timeout=patience)
    if process.returncode:
        raise NotMeasured(f"{Path(program[-1]).name} {mode} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    if "unmeasured" in found:
        raise NotMeasured(found["unmeasured"])
    return found


def flushes(count: int = 500) -> int:
    """Return how many times a second a page is written and flushed here: what bounds whoever commits one by one."""
    with tempfile.TemporaryFile(dir=disk()) as file:
        began = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
        return round(count / (time.perf_counter() - began))


def new_folder(name: str, where: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """Return a new folder on a disk, which is removed at the end of its block."""
    return tempfile.TemporaryDirectory(prefix=f"windlass-{name}-{os.getpid()}-", dir=where or disk())


def clear_up() -> None:
    """Remove the folders of benches that were killed and could not do so."""
    for folder in disk().glob("windlass-*-*-*"):
        if not Path("/proc", folder.name.split("-")[2]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def disk() -> Path:
    """Return a folder on a disk, ignored by Git: a file system in memory flushes nothing."""
    PEERS.mkdir(exist_ok=True)
    return PEERS


def environment(name: str) -> Path:
    """Make the environment of a peer where its pins have changed; return its interpreter.

    Raises NotMeasured where it cannot be installed.
    """
    folder = PEERS / name
    pins = ROOT / "requirements" / f"bench-{name}.txt"
    mark = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not mark.exists() or mark.read_text() != pins.read_text():
        uv = str(Path(sys.executable).with_name("uv"))
        _install(name, [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        sync = ["pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(pins)]
        _install(name, [uv, *sync])
        mark.write_text(pins.read_text())
    return python


def _install(name: str, command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, timeout=_INSTALLING)  # noqa: S603 - as above
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{name} could not be installed within {_INSTALLING} s") from None
    except subprocess.CalledProcessError as error:
        raise NotMeasured(f"{name} could not be installed: uv ended with {error.returncode}") from None
