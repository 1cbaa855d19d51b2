"""Database URLs, and whether the folder of a database is fit for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from windlass.errors import Refused, Unavailable, UserError
from windlass.store.place import StorePlace, prepare_folder, store_place


def test_a_file_behind_four_slashes_is_absolute(tmp_path: Path) -> None:
    assert store_place(f"sqlite:///{tmp_path}/jobs.db") == StorePlace("sqlite", tmp_path / "jobs.db")


def test_a_file_behind_three_slashes_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_place("sqlite:///jobs.db").path == tmp_path / "jobs.db"
    assert store_place("sqlite:///data/../jobs.db").path == tmp_path / "jobs.db"


def test_links_are_followed_so_that_one_database_has_one_lock(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "jobs.db").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "also.db").symlink_to("real/jobs.db")
    assert store_place(f"sqlite:///{tmp_path}/link/jobs.db").path == tmp_path / "real" / "jobs.db"
    assert store_place(f"sqlite:///{tmp_path}/also.db").path == tmp_path / "real" / "jobs.db"


def test_a_store_in_memory() -> None:
    assert store_place("memory://") == StorePlace("memory")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("jobs.db", "has no scheme: write `sqlite:///FILE`, `postgresql://USER@HOST/DATABASE` or `memory://`"),
        ("", "has no scheme"),
        ("sqlite://", "names a file behind three slashes"),
        ("sqlite:///", "names a file behind three slashes"),
        ("sqlite:////", "names a file behind three slashes"),
        ("sqlite:///:memory:", "a store in memory is `memory://`"),
        ("sqlite://host/jobs.db", "names a file behind three slashes"),
        ("sqlite:///jobs.db?mode=ro", "takes no parameters"),
        ("sqlite:///data/", "names no file"),
        ("sqlite:///jobs\0.db", "names no file"),
        ("memory://jobs", '"memory://", with nothing behind it'),
        ("postgresql+psycopg://me:secret@host/jobs", "without a driver"),
        ("mysql://me:secret@host/jobs", 'the scheme "mysql", which Windlass does not know'),
    ],
)
def test_other_urls_are_refused_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        store_place(url)
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_missing_folder_is_made_for_its_user_alone(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b" / "jobs.db")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(Refused, match=r"Every user of this machine can write to .*/open"):
        prepare_folder(folder / "jobs.db")
    assert list(folder.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be used: Not a directory"):
        prepare_folder(tmp_path / "file" / "sub" / "jobs.db")


def test_a_path_that_leads_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(Unavailable):
        prepare_folder(Path(os.path.realpath(tmp_path / "a" / "jobs.db")))
