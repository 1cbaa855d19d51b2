"""Runs leave by themselves, are listed, and come back, by the real program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, log, serve
from tests.fixtures.program import Windlass
from tests.oracle.crash import until
from tests.repository.tree import ROOT
from windlass.store.archive.open import INSTALL

pytestmark = pytest.mark.promise("K06")
JOB = HEAD % "note" + "steps:\n  - {name: say, run: 'echo hello; echo data > kept.txt', artifacts: ['*.txt']}\n"


def test_a_run_is_archived_listed_and_restored(windlass: Windlass) -> None:
    (windlass.folder / "job.yaml").write_text(JOB)
    run = windlass("--json", "exec", "job.yaml").json()["id"]
    assert windlass("archive", "run", "--dry-run").stderr == "No run would leave.\n"
    now = {"WINDLASS_RETENTION": "0s"}
    planned = windlass("--json", "archive", "run", "--dry-run", env=now).json()
    assert planned == [{"rule": "WINDLASS_RETENTION", "to": "archive", "runs": 1}]
    done = windlass("archive", "run", env=now)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("1 run went to the archive (")
    gone = windlass("run", "get", run)
    assert (gone.code, gone.stdout) == (2, "")
    assert f"Run {run} is in the archive; `windlass archive restore {run}` brings it back." in gone.stderr
    (row,) = windlass("--json", "archive", "list").json()
    assert (row["id"], row["job"], row["restoredAt"]) == (run, "note", None)
    assert windlass("archive", "restore", run[:13]).stdout == f"Restored {run} of job note.\n"
    again = windlass("archive", "restore", run, run[:13])
    assert (again.code, again.stdout.startswith(f"Run {run} of job note is back already, since ")) == (0, True)
    assert again.stdout.count("\n") == 1
    assert log(windlass, run) == ["say | hello"]
    assert windlass("--json", "run", "get", run).json()["restoredAt"]
    assert windlass("run", "artifacts", run, "kept.txt", "-o", "out.txt").code == 0
    assert (windlass.folder / "out.txt").read_text() == "data\n"
    unknown = windlass("archive", "restore", run, "0123456789")
    assert (unknown.code, unknown.stderr.count("\n")) == (2, 1)
    assert windlass("archive", "run", env=now).code == 0
    assert windlass("run", "delete", run[:13]).stdout == f"Run {run} of note is deleted.\n"
    assert windlass("--json", "archive", "list").json() == []
    assert (windlass("run", "delete", run).code, windlass("archive", "restore", run).code) == (2, 2)


@pytest.mark.promise("H12")
def test_a_server_lets_runs_leave_by_itself(windlass: Windlass, api: Socket, tmp_path: Path) -> None:
    url = f"file://{tmp_path}/cold"
    apply(windlass, JOB)
    serve(windlass, WINDLASS_RETENTION="1h", WINDLASS_CLEANUP_INTERVAL="1s", WINDLASS_ARCHIVE_URL=url)
    run = accepted(windlass, "note")
    ended(windlass, run)
    assert api("POST", "archive/run", {"dryRun": True}) == {"rules": []}
    assert api("GET", "archive/figures")["runs"] == 0
    assert api("GET", f"runs/{run}")["restoredAt"] is None
    # The job itself says that none of its runs but the newest stays.
    apply(windlass, JOB + "retention: {runs: {last: 1}}\n")
    second = accepted(windlass, "note")
    ended(windlass, second)
    until(lambda: bool(api("GET", "archive")["items"]), "the archive")
    items = api("GET", "archive")["items"]
    assert [(one["id"], one["rule"], one["archive"]) for one in items] == [(run, "retention of job note", url)]
    assert api("GET", f"archive/{run}")["restoredAt"] is None
    assert [api("POST", f"archive/{run}/restore")["restored"] for _ in range(2)] == [True, False]
    assert api("GET", f"runs/{run}")["restoredAt"]
    assert len(list((tmp_path / "cold").rglob("*.jsonl.gz"))) == 1


def test_policies_are_stored_listed_and_deleted(windlass: Windlass, api: Socket) -> None:
    text = "apiVersion: v1\nkind: RetentionPolicy\nmetadata: {name: fast}\nspec: {jobs: note, minAge: 0s, to: delete}\n"
    (windlass.folder / "policy.yaml").write_text(text)
    linted = windlass("job", "lint", "policy.yaml")
    assert (linted.code, linted.stderr) == (0, "1 retention policy checked\n")
    (windlass.folder / "more.yaml").write_text("---\n".join(text.replace("fast", name) for name in "abc"))
    assert windlass("job", "lint", "more.yaml").stderr == "3 retention policies checked\n"
    apply(windlass, JOB)
    applied = windlass("--json", "job", "apply", "policy.yaml")
    assert applied.json()["created"] == ["RetentionPolicy/fast"]
    assert windlass("policy", "list").stdout.split()[-5:] == ["fast", "all", "note", "0.00s", "delete"]
    assert windlass("--json", "policy", "get", "fast").json()["spec"] == {"jobs": ["note"], "minAge": 0, "to": "delete"}
    serve(windlass)
    assert [one["name"] for one in api("GET", "policies")["items"]] == ["fast"]
    run = accepted(windlass, "note")
    windlass("run", "watch", run)
    assert windlass("--json", "archive", "run").json()["deleted"] == 1
    assert windlass("run", "get", run).code == 2
    assert windlass("--json", "archive", "list").json() == []
    assert list((windlass.home / "artifacts").iterdir()) == []
    assert api("DELETE", "policies/fast")["name"] == "fast"
    assert windlass("policy", "delete", "fast").code == 2


def test_an_archive_in_parquet_takes_runs_with_their_files_and_gives_them_back(
    windlass: Windlass, tmp_path: Path
) -> None:
    cold = {"WINDLASS_ARCHIVE_URL": f"parquet://{tmp_path}/cold", "WINDLASS_RETENTION": "0s"}
    (windlass.folder / "job.yaml").write_text(JOB)
    runs = [windlass("--json", "exec", "job.yaml").json()["id"] for _ in range(2)]
    done = windlass("archive", "run", env=cold)
    assert done.stdout.startswith("2 runs went to the archive ("), done.stderr
    assert {path.name for path in (windlass.home / "artifacts").iterdir()} == set()
    assert len(list((tmp_path / "cold").glob("*/files/*"))) == 1
    assert len(list((tmp_path / "cold").rglob("*.log_chunks.parquet"))) == 1
    for run in runs:
        assert windlass("archive", "restore", run).code == 0
        assert log(windlass, run) == ["say | hello"]
        assert windlass("run", "artifacts", run, "kept.txt", "-o", f"{run}.txt").code == 0
        assert (windlass.folder / f"{run}.txt").read_text() == "data\n"


def test_without_pyarrow_only_what_needs_an_archive_in_parquet_is_refused(windlass: Windlass, tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    env = {"WINDLASS_ARCHIVE_URL": f"parquet://{tmp_path}/cold", "PYTHONPATH": str(tmp_path / "without")}
    for command in (["up"], ["archive", "run"], ["archive", "run", "--dry-run"]):
        refused = windlass(*command, env=env)
        assert (refused.code, refused.stdout) == (2, "")
        assert refused.stderr.count("\n") == 1
        assert f"needs pyarrow, which is not installed: run `{INSTALL}`" in refused.stderr
    assert f"`{INSTALL}`" in (ROOT / "docs" / "guide" / "running.md").read_text()
    (windlass.folder / "job.yaml").write_text(JOB)
    for command in (["exec", "job.yaml"], ["run", "list"], ["archive", "list"]):
        assert windlass(*command, env=env).code == 0
    told = windlass("doctor", env=env)
    assert told.code == 1
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("✗")]
    assert line.split()[1] == "archive"
    assert INSTALL in line


def test_doctor_tries_the_archive_with_a_server_and_without(windlass: Windlass) -> None:
    env = {"WINDLASS_ARCHIVE_URL": "file:///proc/nope"}
    told = windlass("doctor", env=env)
    assert (told.code, told.stdout.count("✗")) == (1, 1)
    assert "archive" in told.stdout
    assert "cannot be written" in told.stdout
    assert windlass("archive", "run", "--dry-run", env=env).code == 3
    serve(windlass, **env)
    assert windlass("doctor").stdout.count("cannot be written") == 1


@pytest.mark.promise("O10")
def test_a_beginning_that_stands_for_a_run_here_and_one_in_the_archive_deletes_none(windlass: Windlass) -> None:
    (windlass.folder / "job.yaml").write_text(JOB)
    runs = [windlass("--json", "exec", "job.yaml").json()["id"] for _ in range(2)]
    now = {"WINDLASS_RETENTION": "0s"}
    assert windlass("archive", "run", env=now).code == 0
    assert windlass("archive", "restore", runs[0]).code == 0
    same = next(runs[0][:end] for end in range(35, 0, -1) if runs[1].startswith(runs[0][:end]))
    refused = windlass("run", "delete", same)
    assert (refused.code, refused.stderr) == (2, f"windlass: Several runs begin with {same}; give more of the id.\n")
    assert {one["id"] for one in windlass("--json", "archive", "list").json()} == set(runs)
    assert windlass("run", "delete", *runs).stdout == "".join(f"Run {run} of note is deleted.\n" for run in runs)
    assert windlass("--json", "archive", "list").json() == []


@pytest.mark.promise("H12")
def test_after_a_restore_an_archive_is_changed_once_it_is_adopted(windlass: Windlass, tmp_path: Path) -> None:
    (windlass.folder / "job.yaml").write_text(JOB)
    now = {"WINDLASS_RETENTION": "0s", "WINDLASS_ARCHIVE_URL": f"file://{tmp_path}/cold"}
    first = windlass("--json", "exec", "job.yaml").json()["id"]
    assert windlass("db", "backup", "early").code == 0
    assert windlass("archive", "run", env=now).code == 0
    restored = windlass("db", "restore", "early").stdout
    assert "1 run.\n1 file that was missing or different here came back with it.\n" in restored
    refused = windlass("archive", "run", env=now)
    assert (refused.code, "`windlass archive adopt` says that it is this store's" in refused.stderr) == (3, True)
    told = [line for line in windlass("doctor", env=now).stdout.splitlines() if "archive adopt" in line]
    assert len(told) == 1
    assert windlass("run", "get", first).code == 0
    asked = windlass("--json", "archive", "adopt", "--dry-run", env=now).json()
    assert (asked["runs"], asked["known"], asked["trouble"]) == (0, 1, [])
    adopted = windlass("archive", "adopt", env=now)
    assert adopted.code == 0
    assert adopted.stdout.startswith("0 runs were entered in the catalogue.\n1 document of runs that the store has, ")
    assert adopted.stdout.endswith("The archives are this store's.\n")
    assert windlass("archive", "run", env=now).code == 0
    assert windlass("archive", "adopt", "--drop", env=now).stdout.startswith("1 document and 0 files were removed.\n")
    assert windlass("archive", "restore", first, env=now).stdout == f"Restored {first} of job note.\n"


@pytest.mark.promise("H12")
def test_a_backup_that_lost_a_file_says_which(windlass: Windlass) -> None:
    (windlass.folder / "job.yaml").write_text(JOB)
    run = windlass("--json", "exec", "job.yaml").json()["id"]
    assert windlass("db", "backup", "early").code == 0
    (kept,) = (windlass.folder / "early" / "artifacts" / run).iterdir()
    kept.unlink()
    assert windlass("run", "delete", run).code == 0
    refused = windlass("db", "restore", "early")
    assert refused.code == 3
    assert f"has lost the file {run}/{kept.name}; the database was not changed." in refused.stderr
    assert windlass("run", "get", run).code == 2
