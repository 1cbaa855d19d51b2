"""Expressions in lists of arguments, in PowerShell and in cmd, as a step meets them."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.model.definition import Step
from windlass.model.rendering import compile_step
from windlass.model.steptype import StepSpec

pytestmark = pytest.mark.promise("O03")

SPEC = StepSpec(
    name="any", summary="", schema={}, places={"command": "sh", "command.*": "argv", "ps": "powershell", "bat": "cmd"}
)
CONTEXT: dict[str, Any] = {"parameters": {"v": "it's $(x)"}, "matrix": {"python": "3.11"}}


def said(config: dict[str, Any], level: str = "error") -> list[tuple[Any, str]]:
    step = compile_step(Step(name="s", type="any", config=config), SPEC)
    return [(problem.path[1:], problem.message) for problem in step.problems if problem.level == level]


def command(text: str) -> list[str]:
    """Return a command line as a list, in which X stands for an expression."""
    return [word.replace("X", "${{ parameters.v }}").replace("_", " ") for word in text.split()]


@pytest.mark.parametrize(
    "text",
    [
        "tool X --name=X",
        "ls -- X",
        "sh -c echo X",
        "bash -euo pipefail -c echo_$1 bash X",
        "env A=X tool X",
        "python3 s.py X",
        "python3 -c import_sys X",
        "perl -e print X",
        "awk -v a=X {print_a} X",
        "docker run -e A=X image sh -c echo_$1 sh X",
        "find . -name X",
        "pwsh -File s.ps1 X",
        "sudo -u app ls X",
        "git checkout X",
        "curl -H A:_X X",
    ],
)
def test_an_argument_is_passed_as_it_is(text: str) -> None:
    step = compile_step(Step(name="s", type="any", config={"command": command(text)}), SPEC)
    assert [problem for problem in step.problems if problem.level == "error"] == []
    rendered = step.render(CONTEXT)
    assert rendered.config["command"] == [word.replace("X", "it's $(x)").replace("_", " ") for word in text.split()]
    assert rendered.variables == {}


@pytest.mark.parametrize(
    ("text", "at", "reason"),
    [
        ("python -c print(X)", 2, "stands in the code of python -c"),
        ("/usr/bin/python3.11 -cX", 1, "stands in the code of python3.11 -c"),
        ("perl -ne X", 2, "stands in the code of perl -ne"),
        ("ruby -e X", 2, "stands in the code of ruby -e"),
        ("node -p X", 2, "stands in the code of node -p"),
        ("awk {print_X} f", 1, "stands in the code of awk"),
        ("gawk -F , X f", 3, "stands in the code of gawk"),
        ("cmd.exe /c echo_X", 2, "is an argument of cmd, which reads its arguments as one command line"),
        ("C:\\Windows\\CMD.exe X", 1, "is an argument of cmd"),
        ("PowerShell -c X", 2, "stands in the code of PowerShell"),
        ("powershell -NoProfile -Command X", 3, "stands in the code of PowerShell"),
        ("pwsh X", 1, "stands in the code of PowerShell"),
        ("ssh host X", 2, "is an argument of ssh"),
        ("su -c X", 2, "is an argument of su"),
        ("xargs X", 1, "is an argument of xargs"),
        ("sudo sh -c X", 3, "stands in the code of sh -c"),
        ("docker exec c sh -c X", 5, "stands in the code of sh -c"),
        ("kubectl exec p -- bash -lc X", 6, "stands in the code of bash -c"),
        ("env -i sh -c X", 4, "stands in the code of sh -c"),
        ("fish -c X", 2, "stands in the code of fish -c"),
        ("sh X", 1, "could be an option of sh"),
        ("sh -X", 1, "would be an option of sh"),
        ("env X", 1, "would be the name of a command"),
        ("nice -n 5 X", 3, "would be the name of a command"),
        ("find . -exec sh -c X ;", 5, "stands in the code of find -exec"),
        ("make X", 1, "is an argument of make"),
        ("env PATH=X ls", 1, "is the value of PATH"),
        ("python3X -c X", 2, "stands in the code of what comes before -c"),
    ],
)
def test_an_argument_that_is_read_as_code_is_refused(text: str, at: int, reason: str) -> None:
    found = said({"command": command(text)})
    assert [path for path, _ in found] == [("command", at)]
    assert f"${{{{ parameters.v }}}} {reason}" in found[0][1]


@pytest.mark.parametrize(
    "text", ["sh -c", "/bin/bash -lc", "nice -n 5 dash -e -c", "timeout 5 zsh -c", "env A=b ksh -c"]
)
def test_the_text_after_c_is_a_script_where_the_shell_gets_our_variables(text: str) -> None:
    step = compile_step(
        Step(name="s", type="any", config={"command": [*text.split(), 'echo "${{ parameters.v }}"']}), SPEC
    )
    rendered = step.render(CONTEXT)
    assert rendered.config["command"][-1] == 'echo "${WINDLASS_EXPR_1}"'
    assert rendered.variables == {"WINDLASS_EXPR_1": "it's $(x)"}
    ((path, message),) = said({"command": [*text.split(), "eval ${{ parameters.v }}"]})
    assert path == ("command", len(text.split()))
    assert "is an argument of eval" in message


def test_a_program_may_be_chosen_by_the_matrix_but_is_worth_a_warning_otherwise() -> None:
    assert said({"command": ["${{ matrix.python }}", "a"]}, "warning") == []
    assert said({"command": ["python${{ parameters.v }}", "a"]}, "warning") == []
    assert said({"command": ["${{ parameters.v }}", "a"]}, "warning") == [
        (("command", 0), "the program itself is chosen by an expression; make sure of who chooses it")
    ]


def test_a_list_is_not_made_by_an_expression() -> None:
    spec = StepSpec(name="any", summary="", schema={}, places={"command.*": "argv"})
    step = compile_step(Step(name="s", type="any", config={"command": "${{ parameters.v }}"}), spec)
    assert [problem.message for problem in step.problems] == [
        "expressions stand in the items of a list here; write the command as a list"
    ]


@pytest.mark.parametrize(
    ("shell", "reason"),
    [
        ("fish", "a script for fish takes no expressions"),
        ("python3", "a script for python3 takes no expressions"),
        (["env", "-i", "bash"], "a script for env takes no expressions"),
        ("cmd", "cmd has no safe quotes; use a list of arguments, or `env`"),
        ("${{ parameters.v }}", "the shell that reads a script cannot be an expression"),
    ],
)
def test_a_shell_without_rules_takes_no_expressions(shell: Any, reason: str) -> None:
    found = said({"command": "echo ${{ parameters.v }}", "shell": shell})
    assert any(reason in message for _, message in found)


@pytest.mark.parametrize(
    "shell", ["bash", "/usr/bin/dash", ["bash", "-eu"], ["/usr/bin/env", "zsh"], "busybox sh", "ksh93"]
)
def test_shells_of_the_family_of_sh(shell: Any) -> None:
    step = compile_step(
        Step(name="s", type="any", config={"command": "echo ${{ parameters.v }}", "shell": shell}), SPEC
    )
    assert step.render(CONTEXT).config["command"] == 'echo "${WINDLASS_EXPR_1}"'


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("Get-Item X", "Get-Item ${env:V}"),
        ("Get-Item -Path X | Out-File X", "Get-Item -Path ${env:V} | Out-File ${env:V}"),
        ("$a = X", "$a = ${env:V}"),
        ('Write-Host "a X $b"', 'Write-Host "a ${env:V} $b"'),
        ('"a `"X`" ""X"" $(Get-Item "X")"', '"a `"${env:V}`" ""${env:V}"" $(Get-Item "${env:V}")"'),
        ("if ($a -eq X) { Get-Item X }", "if ($a -eq ${env:V}) { Get-Item ${env:V} }"),
        ("f(X, X)", "f(${env:V}, ${env:V})"),
        ('@"\na X\n"@', '@"\na ${env:V}\n"@'),
        ("'it''s'; Get-Item X", "'it''s'; Get-Item ${env:V}"),
        ("iex 'ls'\nGet-Item X", "iex 'ls'\nGet-Item ${env:V}"),
        ("# it's\nGet-Item X", "# it's\nGet-Item ${env:V}"),
        ("<# ' #> Get-Item X", "<# ' #> Get-Item ${env:V}"),
    ],
)
def test_powershell_refers_to_variables(script: str, runs: str) -> None:
    step = compile_step(Step(name="s", type="any", config={"ps": script.replace("X", "${{ parameters.v }}")}), SPEC)
    assert step.problems == ()
    rendered = step.render(CONTEXT)
    assert rendered.config["ps"] == runs.replace("V", "WINDLASS_EXPR_1")
    assert rendered.variables == {"WINDLASS_EXPR_1": "it's $(x)"}


@pytest.mark.parametrize(
    ("value", "bare", "quoted"),
    [(True, "$true", "true"), (False, "$false", "false"), (5, "5", "5"), (-1.5, "-1.5", "-1.5")],
)
def test_powershell_literals(value: object, bare: str, quoted: str) -> None:
    script = 'f ${{ parameters.v }} "${{ parameters.v }}"'
    step = compile_step(Step(name="s", type="any", config={"ps": script}), SPEC)
    rendered = step.render({"parameters": {"v": value}})
    assert rendered.config["ps"] == f'f {bare} "{quoted}"'
    assert rendered.variables == {}


def test_digits_do_not_join_a_variable_in_powershell() -> None:
    step = compile_step(
        Step(name="s", type="any", config={"ps": 'f "$a${{ parameters.v }} ${{ parameters.v }}"'}), SPEC
    )
    assert step.render({"parameters": {"v": 5}}).config["ps"] == 'f "$a${env:WINDLASS_EXPR_1} 5"'


def test_powershell_null() -> None:
    step = compile_step(Step(name="s", type="any", config={"ps": "f ${{ parameters.v }}"}), SPEC)
    assert step.render({"parameters": {"v": None}}).config["ps"] == "f $null"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("Get-Item 'X'", "stands in single quotes"),
        ("'a''X'", "stands in single quotes"),
        ("\u2018X\u2019", "stands in single quotes"),
        ("@'\nX\n'@", "stands in @'...'@"),
        ("# X", "stands in a comment"),
        ("<# X #>", "stands in a comment"),
        ('"`X"', "follows a backtick"),
        ("a `X", "follows a backtick"),
        ("& X", "would be the name of a command"),
        (". X", "would be the name of a command"),
        ("a; &X", "would be the name of a command"),
        ("aX", "is not a word of its own"),
        ("X.Length", "is not a word of its own"),
        ("$a.X()", "is not a word of its own"),
        ("$a[X]", "is not a word of its own"),
        ("${X}", "stands in the name of a variable"),
        ('"${X}"', "stands in the name of a variable"),
        ("X = 5", "stands where something is assigned to"),
        ("Invoke-Expression X", "stands in a statement with Invoke-Expression"),
        ('"X" | iex', "stands in a statement with iex"),
        ('iex (\n"X")', "stands in a statement with iex"),
        ('[scriptblock]::Create("X")', "stands in a statement with [scriptblock]"),
        ("cmd /c X", "stands in a statement with cmd"),
        ("Start-Process a -ArgumentList X", "stands in a statement with Start-Process"),
        ("Add-Type X", "stands in a statement with Add-Type"),
        ("$ExecutionContext.InvokeCommand.ExpandString('a') + X", "stands in a statement with $ExecutionContext"),
        ("tool --% X", "stands in a statement with --%"),
        ('"a" |\n iex X', "stands in a statement with iex"),
    ],
)
def test_powershell_refuses_every_other_place(script: str, reason: str) -> None:
    ((path, message),) = said({"ps": script.replace("X", "${{ parameters.v }}")})
    assert path == ("ps",)
    assert reason in message


def test_cmd_takes_no_expression_in_a_text() -> None:
    ((path, message),) = said({"bat": "echo ${{ parameters.v }}"})
    assert path == ("bat",)
    assert message.endswith("cmd has no safe quotes; use a list of arguments, or `env`")
    assert said({"bat": "echo ${{ raw(parameters.v) }}"}) == []
