"""Database URLs of PostgreSQL: read as its own programs read them, and never shown with a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.errors import UserError
from windlass.settings import load_settings, shown
from windlass.store.place import ServerPlace, store_place


def place_of(url: str) -> ServerPlace:
    place = store_place(url).server
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("url", "addresses", "told"),
    [
        ("postgresql://me@a:5432,b:5433/jobs", (("a", 5432), ("b", 5433)), "postgresql://me@a:5432,b:5433/jobs"),
        ("postgresql://me@a,b/jobs?port=5433", (("a", 5433), ("b", 5433)), "postgresql://me@a:5433,b:5433/jobs"),
        ("postgresql:///jobs?host=a,b&port=1,2", (("a", 1), ("b", 2)), "postgresql://a:1,b:2/jobs"),
        ("postgresql://[::1]:5433,[fe80::1]/jobs", (("::1", 5433), ("fe80::1", None)), "postgresql://[::1]:5433,[fe80::1]/jobs"),
        ("postgresql:///jobs?host=/run/pg", (("/run/pg", None),), "postgresql:///run/pg/jobs"),
        ("postgresql://%2Frun%2Fpg:5433/jobs", (("/run/pg", 5433),), "postgresql:///run/pg:5433/jobs"),
        ("postgresql:///jobs", (), "postgresql:///jobs"),
        ("postgresql:///?host=a&dbname=jobs&user=me&password=secret", (("a", None),), "postgresql://me@a/jobs"),
    ],
)  # fmt: skip
def test_hosts(url: str, addresses: tuple[tuple[str, int | None], ...], told: str) -> None:
    place = place_of(url)
    assert (place.addresses, place.shown) == (addresses, told)


def test_of_several_servers_the_one_is_meant_that_takes_writes() -> None:
    assert place_of("postgresql://a,b/jobs").dsn == "postgresql://a,b/jobs?target_session_attrs=read-write"
    said = "postgresql://a,b/jobs?target_session_attrs=any"
    assert place_of(said).dsn == said
    assert place_of("postgresql://a/jobs").dsn == "postgresql://a/jobs"


def test_what_the_driver_is_told_and_what_is_read_here(tmp_path: Path) -> None:
    (tmp_path / "pass").touch()
    place = place_of(
        f"postgresql://me:se%40cret@a/jobs?sslmode=require&connect_timeout=3&application_name=nightly&passfile={tmp_path}/pass"
        "&options=-c%20search_path%3Dwindlass"
    )
    assert (place.connecting, place.application) == (3.0, "nightly")
    assert place.dsn.startswith("postgresql://me:se%40cret@a/jobs?sslmode=require&passfile=")
    assert place.dsn.endswith("&options=-c+search_path%3Dwindlass")
    assert place_of("postgresql://a/jobs").application == "windlass"


def test_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services"
    file.write_text("[nightly]\nhost=a,b\nport=5433\nuser=me\npassword=secret\ndbname=jobs\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    place = place_of("postgresql:///?service=nightly")
    assert (place.shown, place.addresses) == ("postgresql://me@a:5433,b:5433/jobs", (("a", 5433), ("b", 5433)))
    assert place.dsn.startswith("postgresql://me:secret@a:5433,b:5433/jobs?sslmode=require")
    assert place_of("postgresql://you@c/other?service=nightly").shown == "postgresql://you@c:5433/other"
    monkeypatch.setenv("PGSERVICE", "nightly")
    assert place_of("postgresql:///").shown == place.shown
    monkeypatch.delenv("PGSERVICEFILE")
    assert place_of(f"postgresql:///?servicefile={file}").shown == place.shown
    for text, sentence in (
        (f"service=nihgtly&servicefile={file}", 'no service "nihgtly" of PostgreSQL; did you mean "nightly"'),
        (f"service=other&servicefile={tmp_path}/none", f'no service "other" of PostgreSQL in {tmp_path}/none'),
    ):
        with pytest.raises(UserError, match=sentence):
            store_place(f"postgresql:///?{text}")
    file.write_text("password=secret\n")
    with pytest.raises(UserError, match="cannot be read") as refused:
        store_place(f"postgresql:///?servicefile={file}")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("a:5432,b:x/jobs", "cannot be read"),
        ("a:99999/jobs", "a port that is none"),
        ("a,,b/jobs", "cannot be read"),
        ("a,b/jobs?port=1,2,3", "one port, or as many as there are hosts"),
        ("a/jobs?sslmod=require", 'did you mean "sslmode"'),
        ("a/jobs?keepalives=1", "the driver here does not know: leave it out"),
        ("a/jobs?sslmode=yes", "`sslmode` of the database URL is one of disable, allow, prefer"),
        ("a/jobs?target_session_attrs=write", "`target_session_attrs` of the database URL is one of any, read-write"),
        ("a/jobs?sslrootcert=/nowhere/root.crt", "`sslrootcert` of the database URL names /nowhere/root.crt, which"),
        ("a/jobs?passfile=/nowhere/pass", "`passfile` of the database URL names /nowhere/pass, which is no file here"),
        ("a/jobs?connect_timeout=0", "`connect_timeout` of the database URL is a whole number of seconds"),
        ("@a/jobs", "cannot be read"),
    ],
)  # fmt: skip
def test_urls_that_are_none(rest: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refused:
        store_place(f"postgresql://me:secret@{rest}")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@a:5432,b:5433/jobs",
        "postgresql://me:secret/with@a/jobs",
        "postgresql://me:secret?with@a/jobs",
        "postgresql://a/jobs?user=me&password=secret&sslpassword=secret",
    ],
)
def test_settings_show_no_password(tmp_path: Path, url: str) -> None:
    environ = {"WINDLASS_HOME": str(tmp_path), "WINDLASS_DATABASE_URL": url}
    said = shown(load_settings(environ).settings, "database_url")
    assert ("secret" in said, "***" in said) == (False, True)


def test_settings_show_a_url_without_a_password_as_it_is(tmp_path: Path) -> None:
    for url in ("postgresql://me@a:5432,b:5433/jobs?options=x@y", f"sqlite:////{tmp_path}/a:b@c.db"):
        settings = load_settings({"WINDLASS_HOME": str(tmp_path), "WINDLASS_DATABASE_URL": url}).settings
        assert shown(settings, "database_url") == url
