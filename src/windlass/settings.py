"""All settings in one immutable value: flags over environment over `windlass.toml` over defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from windlass.errors import Refused, UserError

PREFIX: Final = "WINDLASS_"
FILE_NAME: Final = "windlass.toml"
MIB: Final = 1024 * 1024
#: What the address begins with of a server on this machine, as it says it when it is ready.
UNIX: Final = "unix://"
Source = Literal["flag", "environment", "file", "default"]

#: Variables that steps are given: they say where a nested call comes from and are no settings.
_OF_STEPS: Final = frozenset(
    {"JOB", "REVISION", "RUN_ID", "TASK_ID", "STEP", "KEY", "ATTEMPT", "ATTEMPT_MARK", "OUTPUT", "ARTIFACTS", "CONTEXT"}
)
_OF_STEPS_PREFIXES: Final = ("PARAM_", "OUTPUT_", "EXPR_")
_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZES: Final = {"": 1, "KiB": 1024, "MiB": MIB, "GiB": 1024 * MIB, "TiB": 1024 * 1024 * MIB}
_LONGEST_NUMBER: Final = 15
#: Attempts that one worker may run at one time, however it is said.
MOST_SLOTS: Final = 10_000
_HIGHEST_PORT: Final = 65535
_HIGHEST_UID: Final = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Kind:
    """How the text of a setting is read, and how its value is shown so that it can be given again."""

    #: What to write, for the sentence about a wrong value.
    expected: str
    read: Callable[[str], Any]
    show: Callable[[Any], str] = str


def _read_duration(text: str) -> float:
    if re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text):
        return float(text)
    parts = re.findall(r"(\d{1,12}(?:\.\d{1,6})?)(ms|[dhms])", text)
    units = [unit for _, unit in parts]
    if not parts or "".join(map("".join, parts)) != text or units != [unit for unit in _UNITS if unit in units]:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _show_duration(seconds: float) -> str:
    rest, shown = round(seconds * 1000), ""
    for unit, length in _UNITS.items():
        count, rest = divmod(rest, round(length * 1000))
        shown += f"{count}{unit}" if count else ""
    return shown or "0s"


def _read_size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?) ?([KMGT]iB)?", text)
    if not found:
        raise ValueError(text)
    return round(float(found[1]) * _SIZES[found[2] or ""])


def _show_size(size: int) -> str:
    fitting = [unit for unit, length in _SIZES.items() if size and size % length == 0]
    return f"{size // _SIZES[fitting[-1]]}{fitting[-1]}" if fitting else "0"


def _read_count(text: str, lowest: int = 1, highest: int = 10**_LONGEST_NUMBER) -> int:
    if not re.fullmatch(r"[0-9_]{1,15}", text) or not lowest <= int(text) <= highest:
        raise ValueError(text)
    return int(text)


def _read_flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError(text)
    return known[text.lower()]


def _read_names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))


def _read_pairs(text: str) -> Mapping[str, str]:
    pairs = [pair.partition("=") for pair in _read_names(text)]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        raise ValueError(text)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _read_path(text: str) -> Path:
    if "\0" in text:
        raise ValueError(text)
    return Path(text).expanduser().absolute()


def _read_url(text: str) -> str:
    if re.fullmatch(rf"{UNIX}/[^\0?#]+", text):
        return text
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(text)
    if parts.port == 0:
        raise ValueError(text)
    return text.rstrip("/")


def _read_database(text: str) -> str:
    if not re.match(r"(sqlite:///.|memory://|postgresql://.)", text):
        raise ValueError(text)
    return text


def _read_archive(text: str) -> str:
    if not re.fullmatch(r"database:|(sqlite:///|(file|parquet)://)/[^\0?#]+", text):
        raise ValueError(text)
    return text


def _read_folder_url(text: str) -> str:
    if not re.fullmatch(r"file:///[^\0?#]+", text):
        raise ValueError(text)
    return text


def _read_uids(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    pair = _read_count(first, 1, _HIGHEST_UID), _read_count(last if dash else first, 1, _HIGHEST_UID)
    if pair[0] > pair[1]:
        raise ValueError(text)
    return pair


def _read_local_steps(text: str) -> str:
    if text not in {"private", "trusted"}:
        raise ValueError(text)
    return text


def _read_log_format(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError(text)
    return text


def is_project(text: str) -> bool:
    """Say whether a text can be the name of a project."""
    return re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text) is not None


def _read_project(text: str) -> str:
    if not is_project(text):
        raise ValueError(text)
    return text


def _hide_password(url: str) -> str:
    """Hide passwords, also in a URL that is none: up to the last `@` it may all be one."""
    if not url.startswith("postgres"):
        return url
    url = re.sub(r"((?:ssl)?password=)[^&]*", r"\1***", url)
    return re.sub(r"(?<=://)([^/@:?]*):.*@", r"\1:***@", url)


_TEXT = Kind("a text", str)
_TOKEN = Kind("a token", str, lambda _: "***")
_KEYS = Kind("ID:KEY pairs with commas between them, each key 32 bytes in Base64", str, lambda _: "***")
_DURATION = Kind("a duration such as 30s, 15m or 1h30m", _read_duration, _show_duration)
_SIZE = Kind("a size such as 1048576 or 64MiB", _read_size, _show_size)
_COUNT = Kind("a whole number from 1", _read_count)
_SLOTS = Kind(f"a whole number from 0 to {MOST_SLOTS}", lambda text: _read_count(text, 0, MOST_SLOTS))
_PORT = Kind("a port from 0 to 65535", lambda text: _read_count(text, 0, _HIGHEST_PORT))
_FLAG = Kind("true or false", _read_flag, lambda value: "true" if value else "false")
_NAMES = Kind("names with commas between them", _read_names, ",".join)
_PAIRS = Kind("key=value pairs with commas between them", _read_pairs, lambda v: ",".join(f"{k}={v[k]}" for k in v))
_LIMITS = Kind(
    "name=number pairs with commas between them, numbers from 1",
    lambda text: {name: _read_count(number) for name, number in _read_pairs(text).items()},
    lambda value: ",".join(f"{name}={value[name]}" for name in value),
)
_PATH = Kind("a path", _read_path)
_PATHS = Kind(
    "paths with commas between them",
    lambda text: tuple(map(_read_path, _read_names(text))),
    lambda value: ",".join(map(str, value)),
)
_URL = Kind("an address such as unix:///FILE or https://windlass.example:8420, without a password", _read_url)
_DATABASE = Kind("sqlite:///PATH, memory:// or postgresql://...", _read_database, _hide_password)
_ARCHIVE = Kind("database:, sqlite:////FILE, file:///FOLDER or parquet:///FOLDER, with absolute paths", _read_archive)
_FOLDER_URL = Kind("file:///FOLDER, with an absolute path", _read_folder_url)
_UIDS = Kind("a range of user numbers such as 200000-200999", _read_uids, lambda value: f"{value[0]}-{value[1]}")
_LOCAL_STEPS = Kind("private or trusted", _read_local_steps)
_LOG_FORMAT = Kind("text or json", _read_log_format)
PROJECT_NAME: Final = "small letters, digits, - and _, 63 at most, the first a letter or digit"
_PROJECT = Kind(f"a project's name: {PROJECT_NAME}", _read_project)


def _setting(kind: Kind, description: str, default: Any = None) -> Any:
    """Declare a setting; where `default` is text it is read as if the user had written it."""
    value = kind.read(default) if isinstance(default, str) else default
    return field(default=value, metadata={"kind": kind, "description": description, "default": default})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; durations in seconds, sizes in bytes, None where nothing is set."""

    home: Path = field(metadata={"kind": _PATH, "description": "folder of the database, keys, logs and artifacts"})
    database_url: str = _setting(_DATABASE, "where everything is kept", "memory://")
    database_wait: float = _setting(
        _DURATION, "time that a server or a worker waits at its start for a database that is not there yet", "5m"
    )
    url: str | None = _setting(_URL, "a server to talk to instead of the store on this machine")
    token: str | None = _setting(_TOKEN, "token for that server")
    project: str = _setting(_PROJECT, "project that commands work in", "default")
    host: str = _setting(_TEXT, "address that the server listens on", "127.0.0.1")
    port: int = _setting(_PORT, "port that the server listens on; 0 takes a free one", "8420")
    tls_cert: Path | None = _setting(_PATH, "certificate chain of the server, PEM")  # noqa: RUF009 - declares a field
    tls_key: Path | None = _setting(_PATH, "private key of that certificate, PEM")  # noqa: RUF009 - declares a field
    worker_slots: int = _setting(_SLOTS, "attempts that a worker runs at one time", len(os.sched_getaffinity(0)) * 4)
    queues: tuple[str, ...] | None = _setting(_NAMES, "queues that a worker takes from; all where not set")
    pool: str = _setting(_TEXT, "pool that a worker belongs to", "default")
    labels: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"kind": _PAIRS, "description": "labels of a worker, for jobs that require them"},
    )
    queue_limits: Mapping[str, int] = field(
        default_factory=dict,
        metadata={
            "kind": _LIMITS,
            "description": "tasks of a queue that workers hold at one time; no limit where not set",
        },
    )
    pool_limits: Mapping[str, int] = field(
        default_factory=dict,
        metadata={
            "kind": _LIMITS,
            "description": "tasks that the workers of a pool hold at one time, all of them together",
        },
    )
    default_timeout: float = _setting(_DURATION, "running time of one attempt where its step says none", "1h")
    max_timeout: float = _setting(_DURATION, "longest running time that a step may ask for", "24h")
    run_deadline: float = _setting(_DURATION, "time that a run without `timeout` has to end", "30d")
    max_runs: int | None = _setting(_COUNT, "runs of one project that may run at the same time; no limit where not set")
    heartbeat: float = _setting(_DURATION, "time between two signs of life of a worker", "5s")
    lease: float = _setting(_DURATION, "silence after which a worker counts as lost", "15s")
    drain_grace: float = _setting(_DURATION, "time that running attempts have when a worker is asked to end", "30s")
    cleanup_grace: float = _setting(_DURATION, "time for steps with the rule `always` after a cancel or timeout", "5m")
    retention: float = _setting(_DURATION, "age at which a final run leaves the hot store", "30d")
    archive_retention: float = _setting(_DURATION, "age at which a run leaves the archive", "365d")
    archive_url: str = _setting(_ARCHIVE, "where runs go that leave the hot store", "database:")
    files_url: str | None = _setting(
        _FOLDER_URL, "folder for the files that runs keep, which several servers and workers share; not set: the home"
    )
    cleanup_interval: float = _setting(_DURATION, "time between two clean-ups", "1h")
    disk_reserve: int = _setting(
        _SIZE,
        "space of its disks that a store leaves free: below it nothing new is taken; at most a tenth of a disk",
        "64MiB",
    )
    disk_quota: int | None = _setting(_SIZE, "space that database and kept files may take; no limit where not set")
    cache_entries: int = _setting(_COUNT, "results of steps that the step cache keeps", "10000")
    cache_size: int = _setting(_SIZE, "bytes of files that the step cache keeps", "10GiB")
    log_quota: int = _setting(_SIZE, "output kept of one attempt where its step says nothing", "64MiB")
    priority_weight: float = _setting(_DURATION, "waiting time that one point of priority is worth", "10m")
    local_steps: str = _setting(
        _LOCAL_STEPS, "`trusted` lets several people start processes as the server's own user", "private"
    )
    step_uids: tuple[int, int] | None = _setting(_UIDS, "users that a root server starts local steps as, one a project")
    secret_env: tuple[str, ...] | None = _setting(
        _NAMES, "variables that secret://env may read, globs; not set: all but WINDLASS_* in a store with one person"
    )
    master_key: str | None = _setting(
        _KEYS, "keys that seal secrets, the first one what is new; not set: those in the file"
    )
    master_key_file: Path | None = _setting(_PATH, "file of those keys; not set: master.key in the home")  # noqa: RUF009 - declares a field
    secret_dirs: tuple[Path, ...] = _setting(_PATHS, "folders that secret://file may read", "/run/secrets")
    max_document: int = _setting(_SIZE, "largest manifest", "8MiB")
    max_depth: int = _setting(_COUNT, "deepest nesting of a manifest", "64")
    max_aliases: int = _setting(_COUNT, "most expansions of YAML aliases in a manifest", "100")
    max_steps: int = _setting(_COUNT, "most steps of a job", "20000")
    max_edges: int = _setting(_COUNT, "most edges between the steps of a job", "200000")
    max_fan_out: int = _setting(_COUNT, "most tasks of one step", "20000")
    max_parameters: int = _setting(_SIZE, "largest parameters of a run, as JSON", "256KiB")
    max_child_depth: int = _setting(_COUNT, "deepest chain of runs that start runs", "16")
    max_trigger_depth: int = _setting(_COUNT, "longest chain of triggers that fire triggers", "10")
    log_format: str = _setting(_LOG_FORMAT, "how a server writes its log records: `text` or `json`", "text")
    log_file: Path | None = _setting(_PATH, "file for the log records of a server; standard error where not set")  # noqa: RUF009 - declares a field
    log_file_size: int = _setting(_SIZE, "size at which that file is put aside and a new one begun", "16MiB")
    log_files: int = _setting(_COUNT, "files put aside that are kept", "5")
    metrics_jobs: tuple[str, ...] = _setting(
        _NAMES, "jobs that metrics count apart, globs; all others count together", ""
    )
    debug: bool = _setting(_FLAG, "show the traceback of an unexpected error", "false")

    @property
    def files(self) -> Path:
        """Where the files that runs keep lie."""
        return self.home if self.files_url is None else Path(self.files_url.removeprefix("file://"))


NAMES: Final = tuple(one.name for one in fields(Settings))
_KINDS: Final[dict[str, Kind]] = {one.name: one.metadata["kind"] for one in fields(Settings)}
#: What each setting means, by its name.
DESCRIPTIONS: Final[Mapping[str, str]] = {one.name: one.metadata["description"] for one in fields(Settings)}


#: Settings that nothing follows yet, each with what they are about.
NOT_IN_FORCE: Final[Mapping[str, str]] = {
    "url": "working with a server on a network is",
    "token": "working with a server on a network is",
    "host": "serving on a network is",
    "port": "serving on a network is",
    "tls_cert": "serving on a network is",
    "tls_key": "serving on a network is",
    "local_steps": "logins of several persons are",
    "step_uids": "a user of its own for the steps of each project is",
    "max_trigger_depth": "triggers are",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each of them came from."""

    settings: Settings
    sources: Mapping[str, Source]


def load_settings(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Loaded:
    """Read and check all settings. An empty text in the environment counts as not set.

    Raises UserError with one line for each setting that is unknown or wrong.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    sources: dict[str, Source] = {}

    def take(name: str, text: str, source: Source, place: str) -> None:
        try:
            values[name] = _KINDS[name].read(text)
        except ValueError:
            shown = "" if name in {"token", "database_url", "url", "master_key"} else f" {text[:80]!r}"
            problems.append(f"{place}: expected {_KINDS[name].expected}, not{shown or ' what stands there'}.")
        sources[name] = source

    given = _of_environment(environ, problems)
    home = (flags or {}).get("home") or given.get("home")
    if home:
        take("home", home, "environment", variable("home"))
    else:
        data = environ.get("XDG_DATA_HOME", "")
        base = data if data.startswith("/") else os.path.join(environ.get("HOME") or "~", ".local/share")  # noqa: PTH118 - Path("~") is no better
        values["home"] = _read_path(base) / "windlass"
    if "home" in values:
        file = values["home"] / FILE_NAME
        for name, text in _of_file(file, problems).items():
            take(name, text, "file", f"{file}: {name}")
    for name, text in given.items():
        take(name, text, "environment", variable(name))
    for name, text in (flags or {}).items():
        take(name, text, "flag", f"--{name.replace('_', '-')}")
    if not problems:
        values.setdefault("database_url", f"sqlite:///{values['home']}/windlass.db")
        settings = Settings(**values)
        problems += _contradictions(settings)
    if problems:
        raise UserError("\n".join(problems))
    return Loaded(settings, {name: sources.get(name, "default") for name in NAMES})


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def shown(settings: Settings, name: str) -> str:
    """Return a setting as text that could be given again; secrets as `***`, nothing as an empty text."""
    value = getattr(settings, name)
    return "" if value is None else _KINDS[name].show(value)


def private_folder(path: Path) -> Path:
    """Make `path` a folder that only its owner may enter (mode 0700) and return it.

    Raises Refused where it belongs to somebody else, or where others may write to it and it holds foreign files.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.stat()
    except OSError as error:
        raise UserError(
            f"The folder {path} cannot be used: {error.strerror}; set WINDLASS_HOME to another one."
        ) from None
    if facts.st_uid != os.geteuid():
        raise Refused(f"The folder {path} belongs to another user; set WINDLASS_HOME to one of your own.")
    if not facts.st_mode & 0o077:
        return path
    held = {entry.name for entry in path.iterdir()}
    if not held or held & {"windlass.db", FILE_NAME}:
        path.chmod(0o700)
    elif facts.st_mode & 0o022:
        raise Refused(
            f"Others may write to the folder {path}; run `chmod 700 {path}` or set WINDLASS_HOME to another one."
        )
    return path


def _of_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for key in sorted(environ):
        if not key.startswith(PREFIX) or not environ[key]:
            continue
        rest = key.removeprefix(PREFIX)
        if rest.lower() in _KINDS and rest.isupper():
            given[rest.lower()] = environ[key]
        elif rest not in _OF_STEPS and not rest.startswith(_OF_STEPS_PREFIXES):
            problems.append(f"{key}: no such setting{_hint(key, map(variable, NAMES))}")
    return given


def _of_file(file: Path, problems: list[str]) -> dict[str, str]:
    if not file.exists():
        return {}
    import tomllib  # noqa: PLC0415 - most homes have no file, and start-up is counted in milliseconds

    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.append(f"{file}: {reason}.")
        return {}
    given: dict[str, str] = {}
    for name, value in content.items():
        text = _text_of(value)
        if name == "home":
            problems.append(f"{file}: home: the file lies in that folder; set {variable('home')} instead.")
        elif name not in _KINDS:
            problems.append(f"{file}: {name}: no such setting{_hint(name, NAMES)}")
        elif text is None:
            problems.append(f"{file}: {name}: expected {_KINDS[name].expected}.")
        else:
            given[name] = text
    return given


def _text_of(value: Any) -> str | None:
    """Return a value of the file as it would stand in a variable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if isinstance(value, dict) and all(isinstance(item, str | int) for item in value.values()):
        return ",".join(f"{key}={item}" for key, item in value.items())
    return None


def refuse_not_in_force(settings: Settings) -> None:
    """Raise UserError with one line for each setting that asks for what this version does not do yet."""
    lines = [
        f"{variable(one.name)} is set, but {NOT_IN_FORCE[one.name]} not yet in force; unset it."
        for one in fields(Settings)
        if one.name in NOT_IN_FORCE
        and getattr(settings, one.name) != one.default
        and not (one.name == "url" and settings.url is not None and settings.url.startswith(UNIX))
    ]
    if lines:
        raise UserError("\n".join(lines))


def _contradictions(settings: Settings) -> list[str]:
    """Return a sentence for each pair of settings that cannot both hold."""
    problems = []
    if (settings.tls_cert is None) != (settings.tls_key is None):
        problems.append("WINDLASS_TLS_CERT and WINDLASS_TLS_KEY: one needs the other; set both or none.")
    if settings.lease < 2 * settings.heartbeat:
        problems.append("WINDLASS_LEASE: must be at least twice WINDLASS_HEARTBEAT, or healthy workers count as lost.")
    if settings.heartbeat <= 0:
        problems.append("WINDLASS_HEARTBEAT: must be longer than nothing.")
    if settings.default_timeout > settings.max_timeout:
        problems.append("WINDLASS_DEFAULT_TIMEOUT: must not be longer than WINDLASS_MAX_TIMEOUT.")
    return problems


def _hint(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word[:64], known, n=1, cutoff=0.7)
    return f'; did you mean "{near[0]}"?' if near else "."
