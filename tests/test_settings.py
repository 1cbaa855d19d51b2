"""Settings: where each comes from, what is refused, and that all mistakes are told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.errors import Refused, UserError
from windlass.settings import (
    DESCRIPTIONS,
    NAMES,
    NOT_IN_FORCE,
    load_settings,
    private_folder,
    refuse_not_in_force,
    shown,
    variable,
)


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"WINDLASS_HOME": str(home)} | {f"WINDLASS_{name.upper()}": text for name, text in more.items()}


def problems_of(environ: dict[str, str], flags: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_settings(environ, flags)
    return str(caught.value).splitlines()


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    loaded = load_settings({"HOME": str(tmp_path)})
    settings = loaded.settings
    assert settings.home == tmp_path / ".local/share/windlass"
    assert settings.database_url == f"sqlite:///{settings.home}/windlass.db"
    assert (settings.host, settings.port, settings.project) == ("127.0.0.1", 8420, "default")
    assert (settings.default_timeout, settings.max_timeout, settings.run_deadline) == (3600, 86400, 30 * 86400)
    assert (settings.heartbeat, settings.lease, settings.drain_grace, settings.cleanup_grace) == (5, 15, 30, 300)
    assert (settings.log_quota, settings.priority_weight, settings.max_runs) == (64 * 1024 * 1024, 600, None)
    assert settings.worker_slots == 4 * len(os.sched_getaffinity(0))
    assert set(loaded.sources.values()) == {"default"}


def test_xdg_data_home_holds_the_home(tmp_path: Path) -> None:
    assert load_settings({"HOME": "/h", "XDG_DATA_HOME": str(tmp_path)}).settings.home == tmp_path / "windlass"


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    (tmp_path / "windlass.toml").write_text('port = 1\nhost = "a"\nlease = "1m"\nproject = "p"\nworker_slots = 3\n')
    loaded = load_settings(environment(tmp_path, port="2", host="b", lease="2m"), {"port": "3", "host": "c"})
    settings = loaded.settings
    assert (settings.port, settings.host, settings.lease, settings.worker_slots) == (3, "c", 120, 3)
    assert [loaded.sources[name] for name in ("port", "lease", "project", "retention")] == [
        "flag",
        "environment",
        "file",
        "default",
    ]


def test_the_file_may_use_lists_tables_numbers_and_booleans(tmp_path: Path) -> None:
    text = (
        'queues = ["a", "b"]\ndebug = true\nheartbeat = 1.5\nmax_document = 4096\n[labels]\nos = "linux"\nrack = "7"\n'
    )
    (tmp_path / "windlass.toml").write_text(text)
    settings = load_settings(environment(tmp_path)).settings
    assert settings.queues == ("a", "b")
    assert settings.labels == {"os": "linux", "rack": "7"}
    assert (settings.debug, settings.heartbeat, settings.max_document) == (True, 1.5, 4096)


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "windlass.toml"
    file.write_text('ports = 1\nlease = "soon"\nhome = "/x"\nlabels = [1]\n')
    lines = problems_of(environment(tmp_path, portt="1", max_runs="many", host="ok"), {"port": "99999"})
    assert lines == [
        'WINDLASS_PORTT: no such setting; did you mean "WINDLASS_PORT"?',
        f'{file}: ports: no such setting; did you mean "port"?',
        f"{file}: home: the file lies in that folder; set WINDLASS_HOME instead.",
        f"{file}: labels: expected key=value pairs with commas between them.",
        f"{file}: lease: expected a duration such as 30s, 15m or 1h30m, not 'soon'.",
        "WINDLASS_MAX_RUNS: expected a whole number from 1, not 'many'.",
        "--port: expected a port from 0 to 65535, not '99999'.",
    ]


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "windlass.toml").write_bytes(b"a = \xff\n")
    assert problems_of(environment(tmp_path))[0].startswith(f"{tmp_path}/windlass.toml: ")
    (tmp_path / "windlass.toml").write_text("a = \n")
    assert "line 1" in problems_of(environment(tmp_path))[0]


def test_what_a_step_is_given_does_not_disturb_a_nested_command(tmp_path: Path) -> None:
    given_to_steps = dict.fromkeys(
        ["JOB", "REVISION", "RUN_ID", "TASK_ID", "STEP", "ATTEMPT", "OUTPUT", "ARTIFACTS", "CONTEXT"], "x"
    ) | {"PARAM_REGION": "eu", "OUTPUT_EXTRACT_ROWS": "42", "EXPR_1": "a", "PROJECT": "ops"}
    assert load_settings(environment(tmp_path, **given_to_steps)).settings.project == "ops"


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    assert load_settings(environment(tmp_path, port="", token="")).settings.port == 8420


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    wrong = environment(tmp_path, tls_cert="c.pem", lease="9s", heartbeat="5s", default_timeout="2d")
    names = [line.split(":")[0] for line in problems_of(wrong)]
    assert names == ["WINDLASS_TLS_CERT and WINDLASS_TLS_KEY", "WINDLASS_LEASE", "WINDLASS_DEFAULT_TIMEOUT"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lease", "-1s"),
        ("lease", "1s1m"),
        ("lease", "5m5m"),
        ("lease", "1 h"),
        ("lease", "nan"),
        ("lease", "1e3"),
        ("log_quota", "64MB"),
        ("log_quota", "-1"),
        ("port", "65536"),
        ("port", "²"),
        ("worker_slots", "-1"),
        ("url", "ftp://h"),
        ("url", "https://me:pw@h"),
        ("url", "https://h:notaport"),
        ("database_url", "mysql://h"),
        ("database_url", "sqlite://"),
        ("project", "../x"),
        ("worker_slots", "1000000"),
        ("debug", "maybe"),
        ("labels", "a"),
        ("step_uids", "5-1"),
        ("local_steps", "yes"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_says_what_is_expected(tmp_path: Path, name: str, text: str) -> None:
    lines = problems_of(environment(tmp_path, **{name: text}))
    assert len(lines) == 1
    assert lines[0].startswith(f"{variable(name)}: expected ")


def test_secrets_never_show(tmp_path: Path) -> None:
    given_values = environment(tmp_path, token="hunter2", database_url="postgresql://me:hunter2@h/d")  # noqa: S106 - a canary
    settings = load_settings(given_values).settings
    assert "hunter2" not in "".join(shown(settings, name) for name in NAMES)
    assert shown(settings, "database_url") == "postgresql://me:***@h/d"
    wrong = problems_of(environment(tmp_path, database_url="postgres://me:hunter2@h/d", url="http://me:hunter2@h"))
    assert "hunter2" not in "".join(wrong)


def test_what_is_shown_can_be_given_again(tmp_path: Path) -> None:
    first = load_settings(environment(tmp_path, labels="a=b,c=d", step_uids="7-9", queues="x,y", lease="90s")).settings
    again = {variable(name): shown(first, name) for name in NAMES}
    assert load_settings(again).settings == first


@given(st.integers(0, 10**11))
def test_a_duration_that_is_shown_reads_as_itself(millis: int) -> None:
    environ = {"WINDLASS_HOME": "/nowhere", "WINDLASS_RETENTION": f"{millis // 1000}s{millis % 1000}ms"}
    settings = load_settings(environ).settings
    again = load_settings(environ | {"WINDLASS_RETENTION": shown(settings, "retention")}).settings
    assert round(again.retention * 1000) == millis


def test_every_setting_is_described() -> None:
    assert all(DESCRIPTIONS[name] and not DESCRIPTIONS[name].endswith(".") for name in NAMES)


def test_the_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "home")
    assert made.stat().st_mode & 0o777 == 0o700
    given_folder = tmp_path / "given"
    given_folder.mkdir(mode=0o755)
    assert private_folder(given_folder).stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(Refused, match="chmod 700"):
        private_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o777


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="WINDLASS_HOME"):
        private_folder(tmp_path / "file" / "home")


def test_what_nothing_follows_yet_is_refused_by_name(tmp_path: Path) -> None:
    refuse_not_in_force(load_settings(environment(tmp_path, host="127.0.0.1")).settings)
    asked = {"url": "https://h", "host": "::1", "port": "1", "tls_cert": "c", "tls_key": "k"}
    with pytest.raises(UserError) as refused:
        refuse_not_in_force(load_settings(environment(tmp_path, **asked)).settings)
    lines = str(refused.value).splitlines()
    assert [line.partition(" ")[0] for line in lines] == [variable(name) for name in NAMES if name in asked]
    assert lines[1] == "WINDLASS_HOST is set, but serving on a network is not yet in force; unset it."
    assert set(NAMES) >= set(NOT_IN_FORCE) > set(asked)
