"""Puts the program and what it needs into .venv, from nothing but python3; quick when nothing changed.

Runs on the system's own Python with the standard library only. `run` installs what the program needs, `dev` all that
building and testing it needs, `bench` besides the servers that it is measured on. Exit 2: a person has to do something
first, and one sentence says what.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
UV: Final = VENV / "bin" / "uv"
LEVELS: Final = ("run", "dev", "bench")

#: Options of pip and the variables by which uv is told the same.
UV_VARIABLES: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


class Stop(Exception):
    """Setting up cannot go on; the text says what a person has to do."""


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """A Debian package that something here cannot do without."""

    name: str
    why: str
    #: A program that the package brings; None for the one that makes virtual environments.
    program: str | None = None
    #: First level that needs it.
    level: str = "dev"


SYSTEM: Final = (
    SystemPackage("python3-venv", "makes .venv", level="run"),
    SystemPackage("gcc", "builds the slow disk of tests and benches", program="gcc"),
    SystemPackage("postgresql-15", "is what the tests run on", program="/usr/lib/postgresql/15/bin/postgres"),
    SystemPackage("pgbouncer", "is what tests reach PostgreSQL through", program="/usr/sbin/pgbouncer"),
    SystemPackage("iproute2", "lays networks between the machines of tests", program="ip"),
    SystemPackage("libc6-dev", "the headers that gcc needs", program="/usr/include/stdio.h"),
    SystemPackage("redis-server", "queues that are measured run on it", program="redis-server", level="bench"),
)


def main(arguments: Sequence[str]) -> int:
    """Set up the level named by the only argument and return the exit code."""
    if len(arguments) != 1 or arguments[0] not in LEVELS:
        print(f"usage: tools/setup.py {'|'.join(LEVELS)}", file=sys.stderr)
        return 2
    try:
        with only_one():
            set_up(arguments[0])
    except Stop as stop:
        print(f"setup: {stop}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"setup: `{' '.join(map(str, error.cmd))}` ended with status {error.returncode}", file=sys.stderr)
        return 1
    return 0


def set_up(level: str) -> None:
    """Bring .venv to `level`, doing only what is missing. Raises Stop and CalledProcessError."""
    if sys.version_info < (3, 11):  # noqa: UP036 - nothing has made sure of the minimum yet
        raise Stop(f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; name another by PYTHON=...")
    install_system_packages(missing_system_packages(level))
    level = "run" if level == "run" else "dev"  # a bench needs no more than `dev` in .venv: its peers have their own
    if is_current(level):
        return
    if not works(PYTHON, "import sys"):
        say("making .venv")
        run(sys.executable, "-m", "venv", "--clear", VENV)
    if not UV.exists():
        say("installing the installer")
        if not works(PYTHON, "import pip"):
            run(PYTHON, "-m", "ensurepip", "--default-pip")
        run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock("setup"))
    say(f"installing what requirements/{level}.txt pins")
    if level == "run":
        uv("install", "--require-hashes", "-r", lock("setup"), "-r", lock("run"))
    else:
        uv("sync", "--require-hashes", lock(level))
    uv("install", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    # Where nothing may write bytecode later on, every start of the program would compile everything anew.
    run(PYTHON, "-m", "compileall", "-q", ROOT / "src")
    stamp(level).write_text(digest(level))
    say(f"done: {(VENV / 'bin' / 'windlass').relative_to(ROOT)}")


def missing_system_packages(level: str) -> list[SystemPackage]:
    """Return the packages that `level` needs and that are not there."""
    wanted = [package for package in SYSTEM if LEVELS.index(package.level) <= LEVELS.index(level)]
    return [package for package in wanted if not is_there(package)]


def is_there(package: SystemPackage) -> bool:
    """Say whether what `package` brings can be used; what makes .venv is not missed once .venv is made."""
    if package.program is not None:
        return shutil.which(package.program) is not None or Path(package.program).exists()
    return UV.exists() or works(Path(sys.executable), "import ensurepip, venv")


def install_system_packages(packages: Sequence[SystemPackage]) -> None:
    """Install `packages` as root, or raise Stop with the line that a person has to run."""
    if not packages:
        return
    names = [package.name for package in packages]
    line = f"apt-get install -y --no-install-recommends {' '.join(names)}"
    if shutil.which("apt-get") is None:
        raise Stop(f"this system has no apt-get; install what Debian calls {' '.join(names)} and try again")
    if os.geteuid() != 0:
        raise Stop(f"system packages are missing, please run: sudo {line}")
    for package in packages:
        say(f"installing the system package {package.name} ({package.why})")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", env=environment)
    run(*line.split(), "-qq", env=environment, quiet=True)


def is_current(level: str) -> bool:
    """Say whether .venv already holds `level`, or more, as the files of now ask for it."""
    return any(
        stamp(held).is_file() and stamp(held).read_text() == digest(held)
        for held in LEVELS[LEVELS.index(level) :]
        if (VENV / "bin" / "windlass").exists()
    )


def digest(level: str) -> str:
    """Return a hash of everything that decides what .venv holds at `level`."""
    import tomllib  # noqa: PLC0415 - older Pythons lack it, and shall read a sentence instead

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    installed = [project["project"], project["build-system"], project["tool"]["hatch"], os.path.realpath(PYTHON)]
    parts = [lock("setup").read_bytes(), lock(level).read_bytes(), Path(__file__).read_bytes()]
    parts.append(json.dumps(installed, sort_keys=True).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def uv_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with pip's `settings` said in uv's words; what is there already wins.

    Every package is checked against a hash of the lock, so that it may come from whichever source has it.
    """
    result = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, variable in UV_VARIABLES.items():
        if value := settings.get(option):
            result[variable] = (",".join if option == "find-links" else " ".join)(value.split())
    if "SSL_CERT_FILE" not in result | dict(environment):
        result["UV_SYSTEM_CERTS"] = "1"
    return result | dict(environment)


def pip_settings(listing: str) -> dict[str, str]:
    """Return the options in the output of `pip config list`, by name: the environment wins over the command's own."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        key, separator, value = line.partition("=")
        section, _, option = key.partition(".")
        if separator and section in sections:
            sections[section][option] = str(ast.literal_eval(value))
    return sections["global"] | sections["install"] | sections[":env:"]


def uv(verb: str, *arguments: str | Path) -> None:
    """Run `uv pip` on .venv with pip's own settings. Raises CalledProcessError."""
    listing = ""
    if works(PYTHON, "import pip"):
        listing = subprocess.run(
            [PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
        ).stdout
    environment = uv_environment(pip_settings(listing), os.environ)
    run(UV, "pip", verb, "--quiet", "--python", PYTHON, "--compile-bytecode", *arguments, env=environment)


def works(python: Path, code: str) -> bool:
    """Say whether `python` exists and runs `code`."""
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run(*command: str | Path, env: Mapping[str, str] | None = None, quiet: bool = False) -> None:
    """Run `command` in the project's folder; with `quiet` its output is shown only if it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=env,
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode != 0:
        sys.stderr.write((done.stdout or b"").decode(errors="replace"))
        raise subprocess.CalledProcessError(done.returncode, command)


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the project's folder against a second set-up at the same time."""
    folder = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def lock(name: str) -> Path:
    """Return the file of pinned requirements called `name`."""
    return ROOT / "requirements" / f"{name}.txt"


def stamp(level: str) -> Path:
    """Return the file that says what `level` was made from."""
    return VENV / f".windlass-{level}"


def say(what: str) -> None:
    """Print one line of progress."""
    print(f"setup: {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
