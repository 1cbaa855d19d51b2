"""Hostile values in every place of a command, run by every shell there is: nothing runs, and they arrive whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import ExpressionError
from windlass.model.catalog import StepCatalog
from windlass.model.definition import Step
from windlass.model.rendering import Rendered, compile_step

pytestmark = pytest.mark.promise("O03")

#: Debian has the first two; the others are tried where they are.
SHELLS = [
    name
    for name in ("dash", "bash", "ksh93", "mksh", "zsh", "yash", "posh", "busybox")
    if shutil.which(name) is not None
]
BASH = shutil.which("bash") or "bash"
CATALOG = StepCatalog()

HOSTILE: list[Any] = [
    "; touch marker #",
    "$(touch marker)",
    "`touch marker`",
    "'; touch marker; '",
    '"; touch marker; "',
    "'\"; touch marker; \"'",
    "\ntouch marker\n",
    "\r\ntouch marker\r\n",
    "& touch marker &",
    "| touch marker",
    "&& touch marker",
    "|| touch marker",
    "> marker",
    "<(touch marker)",
    "${IFS}$(touch marker)",
    "${x:-$(touch marker)}",
    "$((a[$(touch marker)]))",
    "a[$(touch marker)]",
    "PATH[$(touch marker)]",
    "([$(touch marker)]=1)",
    "\\$(touch marker)",
    "\\",
    "\\'",
    "$'\\x27; touch marker'",
    "EOF\ntouch marker\nEOF",
    "}}; touch marker; {{",
    "${{ parameters.v }}",
    "%s%n%d",
    "*",
    "~root",
    "{a,b}",
    "-n",
    "--",
    "!!",
    "a  b\tc\n\nd\n",
    " leading and trailing ",
    "",
    "#",
    "é\u202e\U0001f4a3",
    "\x01\x1b[31m\x7f",
    "%PATH%",
    "'",
    '"',
    "`",
    "$",
    "$x",
    "x" * 90_000,
    0,
    -17,
    1.5,
    2**70,
    True,
    False,
    ["$(touch marker)", "`touch marker`", 1, None, "\0"],
    {"; touch marker": "'\"", "b": {"c": "$(touch marker)"}},
]

#: Takes the end of a line away again, and nothing else.
UNLINE = 'V=$(cat got.line; echo .); printf %s "${V%??}" > got'
#: Scripts that write the value, and nothing else, into the file `got`.
PLACES = {
    "bare": "printf %s X > got",
    "quoted": 'printf %s "X" > got',
    "in a function": 'f() { printf %s "$1" > got; }\nf X',
    "assigned": 'V=X\nprintf %s "$V" > got',
    "assigned quoted": 'V="X"; printf %s "$V" > got',
    "before a command": "V=X sh -c 'printf %s \"$V\"' > got",
    "exported": "export V=X; sh -c 'printf %s \"$V\"' > got",
    "readonly": 'readonly V=X; printf %s "$V" > got',
    "substituted": 'V="$(printf %s. X)"; printf %s "${V%.}" > got',
    "here-document": "cat > got.line <<EOF\nX\nEOF\n" + UNLINE,
    "here-document with tabs": "cat > got.line <<-EOF\n\tX\n\tEOF\n" + UNLINE,
    "for": 'for v in X; do printf %s "$v" > got; done',
    "positional": 'set -- X; printf %s "$1" > got',
    "nested shell": "sh -c 'printf %s \"$1\" > got' sh X",
    "case": 'case X in "") printf "" > got;; *) printf %s X > got;; esac',
    "test": "if [ X = x ]; then :; fi; if [ -n X ]; then printf %s X > got; else : > got; fi",
    "subshell": "(cd . && { printf %s X; }) > got",
    "pipe": "printf %s X | cat > got",
    "background": "printf %s X > got & wait",
    "env": "env V=X sh -c 'printf %s \"$V\"' > got",
    "awk": "awk -v a=b 'BEGIN { printf \"%s\", ARGV[1] }' X > got",
}


def run(rendered: Rendered, argv: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **rendered.env, **rendered.variables}
    return subprocess.run(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
    )


def as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def interpreter(shell: str) -> list[str]:
    return ["busybox", "sh", "-c"] if shell == "busybox" else [shell, "-c"]


def test_the_shells_that_every_debian_has_are_among_those_tried() -> None:
    assert {"dash", "bash"} <= set(SHELLS)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shell", SHELLS)
def test_a_value_arrives_whole_and_nothing_runs(shell: str, place: str, tmp_path: Path) -> None:
    script = PLACES[place].replace("X", "${{ parameters.v }}")
    spec = CATALOG["shell"]
    step = compile_step(Step(name="s", type="shell", config={"run": script, "shell": interpreter(shell)[:-1]}), spec)
    assert [problem for problem in step.problems if problem.level == "error"] == []
    for value in HOSTILE:
        rendered = step.render({"parameters": {"v": value}})
        (tmp_path / "got").unlink(missing_ok=True)
        done = run(rendered, [*interpreter(shell), rendered.config["run"]], tmp_path)
        assert not (tmp_path / "marker").exists(), (value, rendered.config["run"])
        assert (tmp_path / "got").read_bytes() == as_bytes(value), (value, done.stderr)


@pytest.mark.parametrize("value", HOSTILE)
def test_an_argument_arrives_whole(value: Any, tmp_path: Path) -> None:
    config = {"command": ["sh", "-c", 'printf %s "$1" > got', "sh", "${{ parameters.v }}"]}
    rendered = compile_step(Step(name="s", type="process", config=config), CATALOG["process"]).render(
        {"parameters": {"v": value}}
    )
    run(rendered, rendered.config["command"], tmp_path)
    assert not (tmp_path / "marker").exists()
    assert (tmp_path / "got").read_bytes() == as_bytes(value)


@pytest.mark.parametrize("value", HOSTILE)
def test_the_script_of_a_list_is_a_script(value: Any, tmp_path: Path) -> None:
    config = {"command": ["env", "A=b", "sh", "-ec", "printf %s ${{ parameters.v }} > got"]}
    rendered = compile_step(Step(name="s", type="process", config=config), CATALOG["process"]).render(
        {"parameters": {"v": value}}
    )
    run(rendered, rendered.config["command"], tmp_path)
    assert not (tmp_path / "marker").exists()
    assert (tmp_path / "got").read_bytes() == as_bytes(value)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_variable_arrives_whole(value: Any, tmp_path: Path) -> None:
    step = Step(name="s", type="shell", config={"run": 'printf %s "$V" > got'}, env={"V": "${{ parameters.v }}"})
    rendered = compile_step(step, CATALOG["shell"]).render({"parameters": {"v": value}})
    run(rendered, ["sh", "-c", rendered.config["run"]], tmp_path)
    assert not (tmp_path / "marker").exists()
    assert (tmp_path / "got").read_bytes() == as_bytes(value)


#: What a shell does with a value besides passing it on; none of these may read it as arithmetic, a name or an option.
USES = [
    '[ "X" = a ]; [ a != X ]; [ X ]; [ -z X ]; [ ! X ]; [ X -nt X ]; [ f -ef X ]; test X = X',
    "cd X; umask X; type X; command -v X; pushd X; which X",
    "A=X; B=$A; A=X true; env A=X true; export A=X B=X",
    'f() { local A=X; echo "$A" "$1"; }; f X',
    'set -- X; echo "$1" "$#"; for i; do echo "$i"; done',
    "printf '%s %s' X X; printf %b X; printf %c X; printf '%5s%%' X; printf -- X",
    "echo -n X; echo -e X; : X; true X",
    'case X in a*) ;; *) ;; esac; for i in X; do echo "$i"; done',
    "cat < X; : > X; : 2>> X; exec 5> X",
    'while read -r a; do echo "$a"; done <<EOF\nX\nEOF',
    "nohup true X; timeout 1 true X; nice true X; kill -0 X; expr X; seq X",
    "set -x; echo X; set -u; echo X; set -e; echo X || :",
    'A=text; echo "$AX" "${A}X" $?X "$$ X" "$A[x]X" ~X *X',
    'echo "$(echo "$(echo X)")"; (echo X); { echo X; } & wait',
]


@pytest.mark.parametrize("script", USES)
@pytest.mark.parametrize("shell", SHELLS)
def test_no_use_of_a_value_runs_it(shell: str, script: str, tmp_path: Path) -> None:
    config = {"run": script.replace("X", "${{ parameters.v }}"), "shell": interpreter(shell)[:-1]}
    step = compile_step(Step(name="s", type="shell", config=config), CATALOG["shell"])
    for value in (
        "PATH[$(touch marker)]",
        "1+PATH[$(touch marker)]",
        "$(touch marker)",
        "-v a[$(touch marker)]",
        "`touch marker`",
    ):
        rendered = step.render({"parameters": {"v": value}})
        run(rendered, [*interpreter(shell), rendered.config["run"]], tmp_path)
        assert not (tmp_path / "marker").exists(), value


COUNTING = [
    "[ X -eq 0 ]",
    "test X -gt 3",
    "exit X",
    "shift X",
    "printf '%d\\n' X",
    "N=X; echo $((N + 1))",
    'N="X"; [ "$N" -gt 3 ]',
    "for n in X; do echo $((n)); done",
    "N=X; cat <<EOF\n$((N))\nEOF",
]


@pytest.mark.parametrize("script", COUNTING)
@pytest.mark.parametrize("shell", SHELLS)
def test_where_a_shell_counts_only_numbers_get_in(shell: str, script: str, tmp_path: Path) -> None:
    config = {"run": script.replace("X", "${{ parameters.v }}"), "shell": interpreter(shell)[:-1]}
    step = compile_step(Step(name="s", type="shell", config=config), CATALOG["shell"])
    accepted = []
    for value in [*HOSTILE, "7"]:
        try:
            rendered = step.render({"parameters": {"v": value}})
        except ExpressionError:
            continue
        accepted.append(value)
        run(rendered, [*interpreter(shell), rendered.config["run"]], tmp_path)
        assert not (tmp_path / "marker").exists(), value
    assert accepted == [0, -17, 1.5, 2**70, "7"]


@pytest.mark.parametrize(
    "script",
    [
        "eval X",
        "X",
        "echo 'X'",
        "echo `echo X`",
        "echo $((X))",
        "[[ X -eq 0 ]]",
        "read X",
        "a[X]=1",
        "sh -c X",
        "echo X | sh",
        "declare -i a; a=X",
        "trap X 0",
        "cat <<EOF\n`echo X`\nEOF",
        "cat <<EOF\n$((1 + X))\nEOF",
        "PS4=X; set -x; :",
    ],
)
def test_what_would_run_the_value_is_refused(script: str, tmp_path: Path) -> None:
    """Each of these runs hostile values when they are pasted, or referred to without care; none is ever rendered."""
    step = Step(name="s", type="shell", config={"run": script.replace("X", "${{ parameters.v }}"), "shell": "bash"})
    compiled = compile_step(step, CATALOG["shell"])
    assert [problem.level for problem in compiled.problems] == ["error"]
    with pytest.raises(ExpressionError):
        compiled.render({"parameters": {"v": "$(touch marker)"}})
    ran = []
    for value in ("$(touch marker)", "a[$(touch marker)]", "'$(touch marker)'", "touch marker", "marker; touch marker"):
        subprocess.run([BASH, "-c", script.replace("X", value)], cwd=tmp_path, capture_output=True, check=False)
        ran.append((tmp_path / "marker").exists())
    assert any(ran)


def test_a_value_that_cannot_travel_never_reaches_a_process() -> None:
    step = compile_step(Step(name="s", type="shell", config={"run": "echo ${{ parameters.v }}"}), CATALOG["shell"])
    for value in ("a\0touch marker", "\ud800", "x" * 1_000_000, None, ["\ud800"]):
        with pytest.raises(ExpressionError, match=r"^\$\{\{ parameters.v \}\}: "):
            step.render({"parameters": {"v": value}})
