"""What is wrong inside a script of several lines is placed there, however the text was written."""

from __future__ import annotations

import json

import pytest

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load

HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\nparameters: {day: {type: string, default: x}}\nsteps:\n"
UNKNOWN = '${{ parameters.dya }}: unknown parameter "dya"; did you mean "day"?'
NO_END = "${{ has no }}; write $${{ for a literal ${{"


def found(text: str) -> list[tuple[int, int, str]]:
    """Return line and column below the head, and the sentence, of each finding."""
    findings = load(HEAD + text, "job.yaml", StepCatalog()).findings
    above = HEAD.count("\n")
    return [(one.position.line - above, one.position.column, one.message) for one in findings if one.position]


@pytest.mark.promise("C02")
@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("- name: s\n  run: |\n    echo one\n\n    echo ${{ parameters.dya }}\n", 5, 10),
        ("- name: s\n  run: |\n\n    echo ${{ parameters.day }}\n      echo ${{ parameters.dya }}\n", 5, 12),
        ("- name: s\n  run: |2-  # ${{ no expression }}\n    echo ${{ parameters.dya }}\n", 3, 10),
        ("- name: s\n  run: >\n    echo one\n    two $${{ ${{ parameters.dya }}\n", 4, 14),
        ("- name: s\n  run: >-\n    echo\n    ${{ parameters.day }}\n\n    ${{\n    parameters.dya }}\n", 6, 5),
        ('- name: s\n  run: "echo one\n    two ${{ parameters.dya }} \\\n    three"\n', 3, 9),
        ("- name: s\n  run: echo\n    'it''s ${{ parameters.day }}'\n    ${{ parameters.dya }}\n", 4, 5),
        ("- name: s\n  run: 'echo\n    ${{ parameters.dya }}'\n", 3, 5),
        ("- name: s\n  run: &kept |\n    echo ${{ parameters.dya }}\n", 3, 10),
        ("- name: s\n  run: 'true'\n  env:\n    A: |\n      one\n      ${{ parameters.dya }}\n", 6, 7),
        ("- name: s\n  command:\n  - echo\n  - |\n    one\n    ${{ parameters.dya }}\n", 6, 5),
    ],
)
def test_a_wrong_expression_is_named_where_it_stands(text: str, line: int, column: int) -> None:
    assert (line, column, UNKNOWN) in found(text)


@pytest.mark.promise("C02")
@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        # An escape hides one of the two from who reads the text: the value's own place is told.
        ('- name: s\n  run: "echo \\u0024{{ parameters.day }}\n    ${{ parameters.dya }}"\n', 2, 8),
        ("- name: s\n  run: echo ${{ parameters.dya }}\n", 2, 8),
        ("- name: s\n  run: 'echo ${{ parameters.dya }}'\n", 2, 8),
    ],
)
def test_where_the_place_cannot_be_known_or_the_value_has_one_line_it_is_that_of_the_value(
    text: str, line: int, column: int
) -> None:
    assert (line, column, UNKNOWN) in found(text)


@pytest.mark.promise("C02")
def test_each_sentence_has_its_own_place_and_does_not_count_lines_again() -> None:
    script = (
        "- name: s\n"
        "  run: |\n"
        '    echo "${{ parameters.day }}"\n'
        "    echo '${{ parameters.day }}'\n"
        "    eval ${{ parameters.dya }}\n"
        "    echo ${{ raw(parameters.day) }}\n"
    )
    said = found(script)
    assert [(line, column) for line, column, _ in said] == [(4, 11), (5, 10), (5, 10), (6, 10)]
    assert not [message for _, _, message in said if message.startswith("line ")]


@pytest.mark.promise("C02")
def test_an_expression_without_an_end_and_a_script_that_cannot_be_parsed() -> None:
    assert found("- name: s\n  run: |\n    echo\n    echo ${{ parameters.day\n") == [(4, 10, NO_END)]
    broken = "- name: s\n  run: |\n    echo ${{ parameters.day }}\n\n    if true; then ) fi\n"
    ((line, column, message),) = found(broken)
    assert (line, column) == (5, 5)
    assert message.startswith("the script cannot be parsed")
    ((line, column, message),) = found(broken.replace("|", ">"))
    assert (line, column) == (2, 8)
    assert message.startswith("line 2: the script cannot be parsed")


@pytest.mark.promise("C02")
@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_other_ends_of_lines_count_the_same(newline: str) -> None:
    text = (HEAD + "- name: s\n  run: |\n    a\n    echo ${{ parameters.dya }}\n").replace("\n", newline)
    (finding,) = load(text, "job.yaml", StepCatalog()).findings
    assert finding.position is not None
    assert (finding.position.line, finding.position.column) == (9, 10)


@pytest.mark.promise("C02")
def test_json_has_its_texts_on_one_line() -> None:
    script = "echo one\necho ${{ parameters.dya }}"
    job = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "a"}, "parameters": {"day": {"type": "string"}}}
    text = json.dumps(job | {"steps": [{"name": "s", "run": script}]}, indent=1)
    (finding,) = load(text, "job.json", StepCatalog()).findings
    assert finding.position is not None
    line = text.split("\n")[finding.position.line - 1]
    assert line[finding.position.column - 1 :].startswith('"echo one')
