"""What `make setup` decides; that it works on a bare machine is shown by installing there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import setup

LISTING = """\
:env:.find-links='/wheels /more'
global.cert='/etc/ssl/overruled.crt'
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.index-url='https://mirror.example/simple'
global.find-links='/overruled'
freeze.timeout='5'
install.cert='/etc/ssl/own.crt'
"""


def test_settings_of_pip_are_read_and_the_environment_wins() -> None:
    assert setup.pip_settings(LISTING) == {
        "find-links": "/wheels /more",
        "cert": "/etc/ssl/own.crt",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "index-url": "https://mirror.example/simple",
    }


def test_uv_is_told_what_pip_is_told() -> None:
    settings = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/wheels /more",
        "cert": "/etc/ssl/own.crt",
    }
    assert setup.uv_environment(settings, {"LANG": "C"}) == {
        "LANG": "C",
        "SSL_CERT_FILE": "/etc/ssl/own.crt",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_without_settings_uv_trusts_what_the_system_trusts() -> None:
    assert setup.uv_environment({}, {})["UV_SYSTEM_CERTS"] == "1"
    assert "UV_SYSTEM_CERTS" not in setup.uv_environment({}, {"SSL_CERT_FILE": "/own"})


def test_what_the_caller_says_to_uv_wins() -> None:
    own = {"UV_DEFAULT_INDEX": "https://own.example/simple"}
    assert setup.uv_environment({"index-url": "https://mirror.example/simple"}, own).items() >= own.items()


MISSING = setup.SystemPackage("name-of-a-package", "is wanted", program="no-program-of-this-name")


def test_a_package_is_missed_where_its_program_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = setup.SystemPackage("dash", "is a shell", program="sh")
    monkeypatch.setattr(setup, "SYSTEM", (there, MISSING))
    assert setup.missing_system_packages("dev") == [MISSING]
    assert setup.missing_system_packages("run") == []


def test_who_is_not_root_is_told_the_line_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _programs(monkeypatch, tmp_path, "apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(setup.Stop, match=r"sudo apt-get install -y --no-install-recommends name-of-a-package$"):
        setup.install_system_packages([MISSING])
    assert not (tmp_path / "calls").exists()


def test_root_is_told_what_is_installed_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _programs(monkeypatch, tmp_path, "apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    setup.install_system_packages([MISSING])
    assert "installing the system package name-of-a-package (is wanted)" in capsys.readouterr().out
    update, install = (tmp_path / "calls").read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install -y --no-install-recommends name-of-a-package")


def test_a_system_without_apt_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.Stop, match="no apt-get; install what Debian calls name-of-a-package"):
        setup.install_system_packages([MISSING])


def _programs(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> None:
    """Put programs before all others that only keep how they were called."""
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what decides what .venv holds, with a .venv that is set up for `run`."""
    (tmp_path / "requirements").mkdir()
    for name in ("setup", "run", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(name)
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname='x'\n[build-system]\nrequires=[]\n[tool.hatch]\n[tool.ruff]\n"
    )
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "windlass").touch()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENV", venv)
    monkeypatch.setattr(setup, "PYTHON", Path(sys.executable))
    setup.stamp("run").write_text(setup.digest("run"))
    return tmp_path


def test_nothing_is_done_while_nothing_changed(tree: Path) -> None:
    assert setup.is_current("run")
    assert not setup.is_current("dev")
    (tree / "requirements" / "dev.txt").write_text("more")
    (tree / "pyproject.toml").write_text((tree / "pyproject.toml").read_text() + "line-length = 100\n")
    assert setup.is_current("run")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements/run.txt", "other"),
        ("requirements/setup.txt", "other"),
        ("pyproject.toml", "[project]\nname='y'\n[build-system]\nrequires=[]\n[tool.hatch]\n"),
    ],
)
def test_a_change_of_what_is_installed_is_seen(tree: Path, file: str, text: str) -> None:
    (tree / file).write_text(text)
    assert not setup.is_current("run")


def test_a_venv_without_the_program_is_not_current(tree: Path) -> None:
    (tree / ".venv" / "bin" / "windlass").unlink()
    assert not setup.is_current("run")


def test_what_is_set_up_to_develop_can_run(tree: Path) -> None:
    (tree / ".venv" / ".windlass-run").unlink()
    setup.stamp("dev").write_text(setup.digest("dev"))
    assert setup.is_current("run")


def test_an_unknown_level_is_answered_by_the_known_ones() -> None:
    program = Path(setup.__file__)
    done = subprocess.run([sys.executable, program, "all"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: tools/setup.py run|dev|bench\n")
