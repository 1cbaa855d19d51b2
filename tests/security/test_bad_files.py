"""File arguments that are no manifests: each gets its sentence, none is waited for, read without end or kept."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD

import pytest

from tests.fixtures.program import Windlass
from tests.security.stage import OK, everything, job, one_sentence, written

pytestmark = pytest.mark.promise("C05")

TEXT = OK.encode()
#: Files, and what lint says of them; None where they are fine.
TEXTS: dict[str, tuple[bytes, str | None]] = {
    "bom": (b"\xef\xbb\xbf" + TEXT, None),
    "crlf": (TEXT.replace(b"\n", b"\r\n"), None),
    "cr": (TEXT.replace(b"\n", b"\r"), None),
    "empty": (b"", "1:1: the text holds no document"),
    "blank": (b" \n\n# nothing\n", "1:1: the text holds no document"),
    "utf-16": (OK.encode("utf-16"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8"),
    "utf-16 without a mark": (OK.encode("utf-16-le"), "1:2: the text holds a NUL character; is this a text file?"),
    "latin-1": (TEXT.replace(b"hi", b"\xe9"), "4:30: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "half a surrogate pair": (
        TEXT.replace(b"hi", b"\xed\xa0\x80"),
        "4:30: byte 0xed is not UTF-8; save the file as UTF-8",
    ),
    "nul": (TEXT.replace(b"hi", b"\0"), "4:30: the text holds a NUL character; is this a text file?"),
    "escape": (TEXT.replace(b"hi", b"\x1b[2J"), "4:30: the control character U+001B is not allowed in YAML"),
    "c1": (TEXT.replace(b"hi", "\x9b2J".encode()), "4:30: the control character U+009B is not allowed in YAML"),
    "binary": (bytes(range(128, 256)) * 1000, "1:1: byte 0x80 is not UTF-8; save the file as UTF-8"),
    "program": (b"\x7fELF\2\1\1\0" * 1000, "1:8: the text holds a NUL character; is this a text file?"),
    "json with a surrogate": (b'{"a": "\\ud800"}', "1:10: this is no YAML"),
}


def test_texts_in_other_encodings_are_told_with_their_place(windlass: Windlass) -> None:
    for number, (name, (content, _)) in enumerate(TEXTS.items()):
        written(windlass, content.replace(b"alias: ok", b"alias: job-%d" % number), f"{name}.yaml")
    said = windlass("job", "lint", *(f"{name}.yaml" for name in TEXTS))
    assert said.code == 1
    assert said.stdout.isascii()
    assert said.stdout.replace("\n", "").isprintable()
    lines = said.stdout.splitlines()
    expected = {name: sentence for name, (_, sentence) in TEXTS.items() if sentence is not None}
    assert [line.partition(".yaml:")[0] for line in lines] == list(expected)
    for line, sentence in zip(lines, expected.values(), strict=True):
        assert line.partition(".yaml:")[2].startswith(sentence)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _gone(path: Path) -> None:
    path.symlink_to("gone")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


SPECIAL: list[tuple[str, Callable[[Path], None] | None, str]] = [
    ("pipe.yaml", _fifo, "pipe.yaml: this is a pipe, and nobody writes into it."),
    ("loop.yaml", _loop, "loop.yaml: Too many levels of symbolic links."),
    ("gone.yaml", _gone, "gone.yaml: No such file or directory."),
    ("socket.yaml", _socket, "socket.yaml: No such device or address."),
    ("folder", Path.mkdir, "folder"),
    ("missing.yaml", None, "missing.yaml: No such file or directory."),
    ("", None, "An empty name stands where a file belongs; give a file, a folder, a glob, or -."),
    ("/dev/zero", None, "/dev/zero: this is no manifest, it has more than 67,108,864 bytes."),
    ("/proc/self/mem", None, "/proc/self/mem: Input/output error."),
    ("x" * 300, None, f"{'x' * 200}...: File name too long."),
    ("a\nb.yaml", None, "windlass: a\\nb.yaml: No such file or directory."),
]


def test_special_files_are_refused_and_not_waited_for(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(windlass.folder)
    for name, make, sentence in SPECIAL:
        if make is not None:
            make(windlass.folder / name)
        for command in (("job", "lint"), ("job", "apply"), ("exec",)):
            said = windlass(*command, name, timeout=20)
            assert (said.code, said.stdout) == (2, ""), said
            assert sentence in said.stderr
            assert "Traceback" not in said.stderr
    assert not windlass.home.exists()


def test_a_folder_is_read_without_what_is_no_file(windlass: Windlass, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = windlass.folder / "jobs"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "up").symlink_to("..")
    monkeypatch.chdir(folder)
    _fifo(folder / "pipe.yaml")
    _socket(folder / "socket.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "ok.yaml").write_text(OK)
    (folder / "values.yaml").write_text("a: 1\n")
    (folder / ".hidden.yaml").write_text("[")
    said = windlass("job", "lint", "jobs", timeout=20)
    assert (said.code, said.stdout) == (0, "")
    assert "1 job checked" in said.stderr
    assert "jobs/values.yaml" in said.stderr
    (folder / "loop.yaml").symlink_to("loop.yaml")
    said = windlass("job", "lint", "jobs")
    assert (said.code, "jobs/loop.yaml: it is a link that leads nowhere." in said.stderr) == (0, True)


def test_a_pipe_that_somebody_writes_into_is_read(windlass: Windlass) -> None:
    pipe = windlass.folder / "pipe"
    _fifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0) as writer:
        reading = windlass.start("job", "lint", "pipe")
        writer.write(TEXT)
        while ioctl(writer, FIONREAD, bytes(4)) != bytes(4):
            with suppress(subprocess.TimeoutExpired):
                reading.wait(0.01)
    _, errors = reading.communicate(timeout=40)
    assert errors == "1 job checked\n"


def test_nothing_is_stored_of_files_of_which_one_is_bad(windlass: Windlass) -> None:
    written(windlass, OK, "ok.yaml")
    before = everything(windlass)
    for name, content in {"nul": TEXT.replace(b"hi", b"\0"), "latin": TEXT.replace(b"hi", b"\xff")}.items():
        written(windlass, content, f"{name}.yaml")
        assert f"{name}.yaml:4: the file " in one_sentence(windlass("job", "apply", "ok.yaml", f"{name}.yaml"))
    written(windlass, job("[{name: a, run: x, tiemout: 3}]"), "typo.yaml")
    said = windlass("job", "apply", "ok.yaml", "typo.yaml")
    assert said.code == 2
    assert said.stderr.startswith('typo.yaml:4:27: unknown key "tiemout" in the step; did you mean "timeout"?\n')
    assert everything(windlass) == before
    said = windlass("job", "apply", "--per-document", "ok.yaml", "typo.yaml", "--json")
    assert (said.code, said.json()["created"]) == (1, ["ok"])


def test_ten_thousand_files_are_checked(windlass: Windlass) -> None:
    for number in range(10_000):
        written(windlass, OK.replace("ok", f"job-{number}", 1), f"{number}.yaml")
    said = windlass("job", "lint", ".")
    assert (said.code, said.stderr) == (0, "10000 jobs checked\n")
