"""The program around the commands: help, mistakes, exit codes, formats, completion, errors nobody foresaw."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.fixtures.program import PROGRAM, Windlass
from windlass.cli.command import Family
from windlass.cli.commands import COMMANDS


def test_the_version(windlass: Windlass) -> None:
    assert windlass("--version").stdout == windlass("version").stdout == "windlass 0.1.0\n"
    assert windlass("version", "--json").json()["version"] == "0.1.0"


def test_help_names_every_command_and_every_command_has_help(windlass: Windlass) -> None:
    root = windlass("--help")
    assert root.code == 0
    assert all(f"\n  {name} " in root.stdout for name in COMMANDS)
    paths = [
        [name, *below]
        for name, entry in COMMANDS.items()
        for below in ([[verb] for verb in entry.commands] if isinstance(entry, Family) else [[]])
    ]
    for path in paths:
        said = windlass(*path, "-h")
        assert said.code == 0, path
        assert said.stdout.startswith(f"Usage: windlass {' '.join(path)} ")
        assert "--json" in said.stdout


def test_without_a_command_it_says_where_to_begin(windlass: Windlass) -> None:
    said = windlass()
    assert (said.code, said.stderr) == (0, "")
    assert re.findall(r"^  windlass (\w+(?: \w+)?) ", said.stdout, re.MULTILINE) == [
        "job lint", "exec FILE", "up", "job apply", "run start", "run list",
    ]  # fmt: skip


def test_a_noun_alone_shows_its_verbs_and_is_a_wrong_request(windlass: Windlass) -> None:
    said = windlass("run")
    assert (said.code, said.stdout) == (2, "")
    assert "Commands:" in said.stderr


def test_help_fits_narrow_terminals_and_its_examples_are_of_the_command(windlass: Windlass) -> None:
    for path in [["exec"], ["job", "apply"], ["run", "start"], ["run", "list"], ["event", "tail"]]:
        said = windlass(*path, "--help", env={"COLUMNS": "60"}).stdout
        options, _, examples = said.partition("\nExamples:\n")
        assert examples
        assert all(" ".join(["windlass", *path]) in line for line in examples.splitlines())
        assert all(len(line) <= 85 for line in options.splitlines())
        assert "x>=" not in said
        assert "<=x" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jb",), 'There is no command "jb"; did you mean "job"? See `windlass --help`.'),
        (("apply", "f"), 'There is no command "apply"; did you mean "job apply"? See `windlass --help`.'),
        (
            ("run", "start", "fan", "n=1"),
            "Got unexpected extra argument (n=1); a parameter is given as -p n=1. See `windlass run start --help`.",
        ),
        (("exec", "fan"), "fan: No such file or directory; a stored job is started by `windlass run start fan`."),
        (("job", "aply"), 'There is no command "aply"; did you mean "apply"? See `windlass job --help`.'),
        (("run", "start"), "Missing argument 'JOB'. See `windlass run start --help`."),
        (("job", "list", "--jso"), "No such option '--jso'. Did you mean '--json'? See `windlass job list --help`."),
        (("job", "list", "-n", "0"), "Invalid value for '-n' / '--limit': 0 is not in the range 1<=x<=100000."),
        (
            ("job", "list", "--format", "xml"),
            "Invalid value for '--format': 'xml' is not one of 'table', 'json', 'yaml'.",
        ),
    ],
)
def test_a_mistake_is_one_sentence_with_the_way_out(
    windlass: Windlass, arguments: tuple[str, ...], message: str
) -> None:
    said = windlass(*arguments)
    assert (said.code, said.stdout) == (2, "")
    assert said.stderr.count("\n") == 1
    assert message.partition(" See")[0].rstrip(".?") in said.stderr


def test_wrong_settings_are_all_told_and_nothing_is_done(windlass: Windlass, home: Path) -> None:
    said = windlass("job", "list", env={"WINDLASS_LEASE": "soon", "WINDLASS_PROT": "1"})
    assert said.code == 2
    assert said.stderr.splitlines() == [
        'windlass: WINDLASS_PROT: no such setting; did you mean "WINDLASS_PORT"?',
        "windlass: WINDLASS_LEASE: expected a duration such as 30s, 15m or 1h30m, not 'soon'.",
    ]
    assert not home.exists()


def test_config_shows_where_each_setting_comes_from(windlass: Windlass, home: Path) -> None:
    home.mkdir()
    (home / "windlass.toml").write_text('token = "hunter2"\nlease = "20s"\n')
    said = windlass("config", "--json", env={"WINDLASS_PORT": "1"})
    rows = {row["name"]: (row["value"], row["source"]) for row in said.json()}
    assert rows["port"] == ("1", "environment")
    assert rows["lease"] == ("20s", "file")
    assert rows["token"] == ("***", "file")
    assert rows["project"] == ("default", "default")
    assert "hunter2" not in windlass("config").stdout


def test_the_api_is_described(windlass: Windlass) -> None:
    described = windlass("config", "--openapi").json()
    assert described["openapi"] == "3.1.0"
    assert "/api/v1/runs/{run}/cancel" in described["paths"]
    assert all(one["x-permission"] for path in described["paths"].values() for one in path.values())


def test_yaml_and_json_say_the_same(windlass: Windlass) -> None:
    assert windlass("job", "list", "--format", "yaml").stdout == "[]\n"
    assert windlass("job", "list", "--json").stdout == "[]\n"
    assert windlass("--json", "job", "list").stdout == "[]\n"


def test_the_home_is_private(windlass: Windlass, home: Path) -> None:
    assert windlass("job", "list").code == 0
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(entry.stat().st_mode & 0o077 == 0 for entry in home.iterdir())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(windlass: Windlass, shell: str) -> None:
    assert "_WINDLASS_COMPLETE" in windlass("--completion", shell).stdout


def test_commands_options_and_aliases_are_completed(windlass: Windlass) -> None:
    def complete(words: str, number: int) -> list[str]:
        env = {"_WINDLASS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return [line.partition(",")[2] for line in windlass(env=env).stdout.splitlines()]

    assert complete("windlass jo", 1) == ["job"]
    assert complete("windlass job l", 2) == ["lint", "list"]
    assert "--prune" in complete("windlass job apply --pr", 3)
    manifest = {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "nightly"},
        "steps": [{"name": "a", "run": ":"}],
    }
    assert windlass("job", "apply", "-", stdin=json.dumps(manifest)).code == 0
    assert complete("windlass run start ni", 3) == ["nightly"]


def test_an_unforeseen_error_is_one_line_and_its_details_are_kept_privately(windlass: Windlass, home: Path) -> None:
    folder = windlass.folder / "broken"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import windlass.cli.session as s\n"
        "def fail(self): raise ZeroDivisionError('inside')\n"
        "s.Session.connect = fail\n"
    )
    env = {"PYTHONPATH": str(folder)}
    said = windlass("run", "start", "x", "-p", "token=hunter2", env=env)
    assert said.code == 3
    assert said.stderr.count("\n") == 1
    assert "ZeroDivisionError" in said.stderr
    (details,) = (home / "errors").iterdir()
    assert str(details) in said.stderr
    assert "Traceback" in details.read_text()
    assert "hunter2" not in details.read_text()
    assert details.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in windlass("job", "list", env=env | {"WINDLASS_DEBUG": "1"}).stderr
    for _ in range(25):
        windlass("job", "list", env=env)
    assert len(list((home / "errors").iterdir())) == 20


def test_a_reader_that_goes_away_is_no_error(windlass: Windlass) -> None:
    command = f"{PROGRAM} config --json | head -n 1"
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        env=windlass.env | {"PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


def test_a_terminal_without_utf_8_gets_something_readable(windlass: Windlass) -> None:
    said = windlass("job", "lint", "nothing-\u00fc.yaml", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert said.code == 2
    assert "Traceback" not in said.stderr


def test_a_store_that_cannot_be_had_is_out_of_reach(windlass: Windlass, home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "windlass.db").write_bytes(b"this is no database" * 100)
    said = windlass("job", "list")
    assert said.code == 3
    assert said.stderr.count("\n") == 1
    assert windlass("job", "list", env={"WINDLASS_DATABASE_URL": "postgresql://127.0.0.1:1/d"}).code == 3
    assert windlass("job", "list", env={"WINDLASS_DATABASE_URL": "mysql://h/d"}).code == 2
    assert windlass("job", "list", env={"WINDLASS_URL": "https://h"}).code == 2
    said = windlass("up", env={"WINDLASS_HOST": "::1"})
    assert said.code == 2
    assert "WINDLASS_HOST is set, but serving on a network is not yet in force" in said.stderr
    rows = {row["variable"]: row["inForce"] for row in windlass("config", "--json").json()}
    assert (rows["WINDLASS_HOST"], rows["WINDLASS_LEASE"]) == (False, True)


def test_commands_that_need_little_import_little(windlass: Windlass) -> None:
    """Start-up is counted in milliseconds; what it costs is what is imported."""
    program = "import sys; from windlass.main import main\ntry: main()\nexcept SystemExit: print(*sorted(sys.modules))"
    heavy = {"sqlalchemy", "rich", "asyncio", "orjson", "yaml", "uvicorn", "logging", "windlass.engine.engine"}
    for arguments in (["--version"], ["config"], ["job", "--help"]):
        done = subprocess.run(
            [PROGRAM.with_name("python"), "-c", program, *arguments],
            env=windlass.env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert not heavy & set(done.stdout.splitlines()[-1].split()), arguments


def test_a_nested_command_takes_its_project_from_the_run(windlass: Windlass) -> None:
    env = {"WINDLASS_PROJECT": "ops", "WINDLASS_RUN_ID": "x", "WINDLASS_PARAM_A": "1", "WINDLASS_ATTEMPT_MARK": "m"}
    rows = {row["name"]: row["value"] for row in windlass("config", "--json", env=env).json()}
    assert rows["project"] == "ops"


def test_a_folder_that_is_gone_is_told_of_in_one_sentence(windlass: Windlass) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; {PROGRAM} exec -; {PROGRAM} exec x.yaml; true"
    env = windlass.env
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=env, cwd=windlass.folder, capture_output=True, text=True, check=True
    )
    told = "windlass: The folder that this was started in is gone: change to another one, and try again."
    assert told in done.stderr.splitlines()
    assert "unexpected" not in done.stderr
