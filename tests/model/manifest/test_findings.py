"""Every mistake gets its line: the files under `findings/` hold manifests, each with all that lint says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windlass.model.manifest.load import Loaded

FOLDER = Path(__file__).parent / "findings"
HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\n"
ONE = "steps:\n- {name: s, run: x}\n"


def cases() -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, manifest and expected lines of every case: `=== name`, the text, `=>`, the lines."""
    for file in sorted(FOLDER.glob("*.txt")):
        for case in file.read_text().split("=== ")[1:]:
            name, _, rest = case.partition("\n")
            text, _, lines = rest.partition("=>\n")
            yield f"{file.stem}: {name}", text, lines.splitlines()


CASES = list(cases())


@pytest.mark.promise("C02")
@pytest.mark.parametrize(("text", "lines"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_every_mistake_gets_its_line(text: str, lines: list[str], told: Callable[[str], list[str]]) -> None:
    assert told(text) == [line for line in lines if line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1:1: the text holds no document"),
        (HEAD + "queue: a\0\n" + ONE, "4:9: the text holds a NUL character; is this a text file?"),
        (HEAD + "queue: a\x07\n" + ONE, "4:9: the control character U+0007 is not allowed in YAML"),
        (HEAD + "queue:\n\ta: b\n" + ONE, "5:1: a tab cannot stand here; indent with spaces"),
        (b"a: \xff\n", "1:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        (("\ufeff" + HEAD).encode("utf-16-le"), "1:1: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: \ud800\n", "1:4: the text holds half a surrogate pair; save it as UTF-8"),
        (
            HEAD + 'description: "a\\0b"\n' + ONE,
            "4:14: the text holds a NUL character (\\0), which no command, variable or file name can carry",
        ),
    ],
)
def test_what_is_no_text_is_refused(text: str | bytes, line: str, told: Callable[[str | bytes], list[str]]) -> None:
    assert told(text) == [line]


def test_a_byte_order_mark_is_no_mistake(loaded: Callable[[str], Loaded]) -> None:
    assert loaded("\ufeff" + HEAD + ONE).ok


def test_findings_come_in_the_order_of_the_text_and_only_so_many(loaded: Callable[[str], Loaded]) -> None:
    text = HEAD + "steps:\n" + "".join(f"- {{name: s{number}, rum: x}}\n" for number in range(300))
    findings = loaded(text).findings
    lines = [finding.position.line for finding in findings if finding.position]
    assert lines == sorted(lines)
    assert str(findings[-1]).endswith(": checking stopped after 200 errors")
    assert len(findings) == 201


def test_many_warnings_refuse_nothing(loaded: Callable[[str], Loaded]) -> None:
    steps = "".join(
        f'- {{name: s{number}, command: [echo, "${{{{ parameters.p{number} }}}}"]}}\n' for number in range(300)
    )
    found = loaded(HEAD + "steps:\n" + steps)
    assert found.ok
    assert len(found.documents) == 1
    assert str(found.findings[-1]).endswith(": warning: 100 more warnings are not shown")
