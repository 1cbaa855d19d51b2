"""Parameters from files: of one text, of all values, from standard input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

JOB = """\
apiVersion: v1
kind: Job
metadata: {alias: taking}
parameters:
  body: {type: string, pattern: "^[a-z@\\\\n]*$", default: ""}
  size: {type: integer, default: 1}
  tags: {type: array, items: {type: string}, default: []}
  day: {type: string, format: date, default: "2026-01-31"}
steps: [{name: a, type: fake}]
"""

pytestmark = pytest.mark.promise("O02", part="types and checks")


@pytest.fixture(autouse=True)
def _applied(cli: Cli) -> None:
    Path("job.yaml").write_text(JOB)
    assert cli("job", "apply", "job.yaml").code == 0


def started(cli: Cli, *more: str, stdin: bytes = b"") -> dict[str, object]:
    said = cli("run", "start", "taking", "--json", *more, stdin=stdin)
    assert said.code == 0, said.stderr
    return dict(said.json()["parameters"])


def test_a_parameter_takes_the_text_of_a_file(cli: Cli) -> None:
    Path("body.txt").write_text("several\nlines\n")
    assert started(cli, "-p", "body=@body.txt")["body"] == "several\nlines\n"
    assert started(cli, "-p", "body=@@bob")["body"] == "@bob"
    assert started(cli, "-p", "body=@-", stdin=b"piped")["body"] == "piped"
    previewed = cli("job", "preview", "taking", "-p", "body=@body.txt", "--json").json()
    assert previewed["parameters"]["body"] == "several\nlines\n"


def test_a_file_gives_values_with_their_types(cli: Cli) -> None:
    Path("values.yaml").write_text("size: 4\ntags: [a, b]\nday: 2026-02-03\n")
    Path("more.json").write_text('{"size": 5}')
    assert started(cli, "--params", "values.yaml") == {"body": "", "size": 4, "tags": ["a", "b"], "day": "2026-02-03"}
    assert started(cli, "--params", "values.yaml", "--params", "more.json")["size"] == 5
    assert started(cli, "--params", "values.yaml", "-p", "size=6")["size"] == 6
    assert started(cli, "--params", "-", stdin=b"size: 7")["size"] == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("size: 1\nsize: 2\n", "values.yaml:2:1: "),
        ("a: !!python/object:os.system x\n", "values.yaml:1:4: tags such as"),
        ("[1, 2]\n", "windlass: values.yaml: a file of parameters is one mapping"),
        ("a: 1\n---\nb: 2\n", "windlass: values.yaml: a file of parameters is one mapping"),
        ("size: many\n", "size must be an integer"),
        ("siez: 1\n", 'did you mean "size"?'),
        ("day: 2026-02-30\n", "day must be a date"),
        ("body: UPPER\n", "body must match"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(cli: Cli, text: str, sentence: str) -> None:
    Path("values.yaml").write_text(text)
    said = cli("run", "start", "taking", "--params", "values.yaml")
    assert said.code == 2
    assert sentence in said.stderr


def test_a_file_that_is_not_there_is_told_by_its_name(cli: Cli) -> None:
    for option in (("--params", "none.yaml"), ("-p", "body=@none.yaml")):
        said = cli("run", "start", "taking", *option)
        assert (said.code, said.stderr) == (2, "windlass: none.yaml: No such file or directory.\n")
    Path("binary").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in cli("run", "start", "taking", "-p", "body=@binary").stderr
