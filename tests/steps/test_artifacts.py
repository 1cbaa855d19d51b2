"""Files that are kept of a step's folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from windlass.errors import LimitExceeded
from windlass.steps.artifacts import ArtifactLimits, collect_artifacts


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "out" / "deep").mkdir(parents=True)
    (folder / "out" / "report.csv").write_text("a,b\n")
    (folder / "out" / "deep" / "more.csv").write_text("c\n")
    (folder / "notes.txt").write_text("x")
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def test_files_are_kept_with_name_size_and_hash(work: Path, into: Path) -> None:
    (artifact, *others), left_out = (kept := collect_artifacts(work, ["out/*.csv"], into)).artifacts, kept.left_out
    assert (artifact.name, artifact.size, others, left_out) == ("out/report.csv", 4, [], ())
    assert artifact.sha256 == hashlib.sha256(b"a,b\n").hexdigest()
    assert artifact.path.read_bytes() == b"a,b\n"
    assert artifact.path.stat().st_mode & 0o077 == 0


def test_no_folder_is_made_for_nothing(work: Path, tmp_path: Path) -> None:
    into = tmp_path / "for-this-run"
    assert collect_artifacts(work, ["none/*"], into).artifacts == ()
    assert not into.exists()
    with pytest.raises(LimitExceeded):
        collect_artifacts(work, ["out", "notes.txt"], into, limits=ArtifactLimits(files=1))
    assert not into.exists()
    assert len(collect_artifacts(work, ["out"], into).artifacts) == 2
    assert into.stat().st_mode & 0o777 == 0o700


def test_a_folder_is_kept_with_all_in_it_and_the_offered_one_as_well(work: Path, into: Path, tmp_path: Path) -> None:
    offered = tmp_path / "offered"
    offered.mkdir()
    (offered / "plan.json").write_text("{}")
    kept = collect_artifacts(work, ["out", "notes.txt"], into, offered=offered)
    assert [one.name for one in kept.artifacts] == ["notes.txt", "out/deep/more.csv", "out/report.csv", "plan.json"]


def test_nothing_leads_out(work: Path, into: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key.csv").write_text("secret")
    (work / "out" / "link.csv").symlink_to(secret / "key.csv")
    (work / "out" / "dir.csv").symlink_to(secret)
    os.mkfifo(work / "out" / "pipe.csv")
    (work / "out" / "ctrl\x1b.csv").write_text("x")
    kept = collect_artifacts(work, ["out/**", f"{secret}/*", "../secret/*"], into)
    assert [one.name for one in kept.artifacts] == ["out/deep/more.csv", "out/report.csv"]
    assert kept.left_out == (
        '"out/ctrl\\x1b.csv" is left out: its name cannot be shown',
        '"out/dir.csv" is left out: it is a link',
        '"out/link.csv" is left out: it is a link',
        '"out/pipe.csv" is left out: it is no plain file',
        f'no file matches "{secret}/*"',
        'no file matches "../secret/*"',
    )


def test_a_linked_folder_is_not_entered(work: Path, into: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.csv").write_text("x")
    (work / "linked").symlink_to(tmp_path / "other")
    kept = collect_artifacts(work, ["linked/*.csv"], into)
    assert kept.artifacts == ()


def test_a_hard_link_to_another_users_file_is_left_out(work: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "mine.csv").hardlink_to(work / "notes.txt")
    fstat = os.fstat

    def owned_by_others(file: int) -> os.stat_result:
        found = list(fstat(file))
        found[4] += 1 if found[3] > 1 and not Path(f"/proc/self/fd/{file}").is_dir() else 0
        return os.stat_result(found)

    monkeypatch.setattr("windlass.steps.artifacts.os.fstat", owned_by_others)
    assert collect_artifacts(work, ["mine.csv"], into).left_out == (
        '"mine.csv" is left out: it belongs to somebody else',
        'no file matches "mine.csv"',
    )


@pytest.mark.parametrize("limits", [ArtifactLimits(files=1), ArtifactLimits(size=5)])
def test_over_a_limit_nothing_is_kept(work: Path, into: Path, limits: ArtifactLimits) -> None:
    with pytest.raises(LimitExceeded, match="the artifacts of a task"):
        collect_artifacts(work, ["out"], into, limits=limits)
    assert not into.exists()


def test_deep_folders_are_left_out(work: Path, into: Path) -> None:
    deep = work.joinpath(*["d"] * 10)
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    kept = collect_artifacts(work, ["d/**"], into, limits=ArtifactLimits(depth=5))
    assert kept.artifacts == ()
    assert kept.left_out[0] == '"d/d/d/d/d/d" is left out: it is deeper than 5 folders'


def test_equal_files_share_one_copy(work: Path, into: Path) -> None:
    (work / "copy.csv").write_text("a,b\n")
    kept = collect_artifacts(work, ["copy.csv", "out/report.csv"], into)
    assert len(kept.artifacts) == 2
    assert len(list(into.iterdir())) == 1
