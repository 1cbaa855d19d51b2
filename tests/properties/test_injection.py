"""Whatever script an expression stands in, and wherever: it is refused, or no value of it ever runs."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import ExpressionError
from windlass.model.injection.nodes import Frame
from windlass.model.injection.sh import Script, compile_script
from windlass.model.template import split

pytestmark = pytest.mark.promise("O03")

EXPRESSION = "${{ parameters.v }}"
SHELLS = [shell for shell in ("dash", "bash", "mksh", "zsh", "ksh93") if shutil.which(shell) is not None]
#: Each tries to make a file called `marker`.
HOSTILE = [
    "$(touch marker)",
    "`touch marker`",
    "';touch marker;'",
    '";touch marker;"',
    "\ntouch marker\n",
    "a[$(touch marker)]",
    "PATH[$(touch marker)]",
    "([$(touch marker)]=1)",
    "EOF\ntouch marker\n",
    "|touch marker",
    "&touch marker",
    "))\ntouch marker\n((",
    "${A:-$(touch marker)}",
]
#: Scripts of harmless commands that hold each construct of the language.
SCRIPTS = [
    "p a \"b c\" 'd e' f\\ g",
    'cat <<EOF\na b $A\nit\'s "q" \\$x $(p y)\nEOF\np z',
    "cat <<EOF\nx `p x` $((1 + 2)) $[1+2] ${A:-x}\nEOF\np z",
    "cat <<'EOF'\na $A b\nEOF\np z",
    "cat <<-EOF | p x\n\ta b\n\tEOF\np z",
    'if [ "$A" = v ]; then p a; elif [ -n "$A" ]; then p b; else p c; fi',
    "[ 1 -eq 1 ] && test a = b -o 1 -lt 2; [ ! -e f ]",
    'for i in a "b c"; do p "$i" x; done',
    'case "$A" in v|w) p a ;; *) p b ;; esac',
    'while read -r l; do p "$l"; done <<EOF\na\nEOF',
    'A=x B="y z" p a; p "$A"',
    'f() { p "$1"; }\nf a; f "b c"',
    "(p a; p b) | cat; { p c; p d; } > f",
    'p $(echo a b) "$(echo "c d")" "x $(p "i j") y"',
    'p ${A:-b} "${A%x}" ${#A} "${A}" "${A:0:1}" "${A/v/w}"',
    'p $((1 + 2)) "$((3))" $[4] $((A , 2)); ((A = 1)); let "x=1"',
    "p a # comment\np b",
    'p `echo a "b c"` "`echo d`"',
    "p $'a\\nb' $\"c d\"",
    "p {a,b}c x{1..3} *.txt [ab]* ~",
    'export C="b c" D=e; readonly R=x; p "$C"',
    'a=(x "y z"); p "${a[@]}"; a[0]=c; a+=(d)',
    "[[ $A == v* && -n $A ]] && p x || p y",
    "! p a && p b || p c; p d & wait",
    "p a > f 2>&1 < /dev/null; cat f >> g; p b >| f",
    'printf "%s %d\\n" a 1; printf %s "b"',
    'set -- a b; p "$@" $#; shift 1',
    'trap "p x" EXIT; eval "p x"; p y',
    "sh -c 'p \"$1\"' a b; env X=1 sh -c : a",
    "x=1; while [ $x -lt 3 ]; do x=$((x + 1)); p $x; done",
    "p \"a\nb\nc\" 'd\ne'",
    'p "$(cat <<EOF\na "b" c\nEOF\n)" x',
    "p <(echo a) 2> f; cat <<< b",
    'p "\\`a\\`" \\\\ "\\\\" x',
    'find . -name "a" -exec p {} \\; | xargs p x',
    "unset A; read -r z </dev/null; declare -i n=1; n=2",
    'for ((i=0;i<2;i++)); do p "$i"; done; select s in a; do break; done </dev/null',
]
NOISE = [
    '"',
    "'",
    "`",
    "\\",
    " ",
    "\n",
    "$",
    "(",
    ")",
    "{",
    "}",
    ";",
    "#",
    "|",
    "<",
    "=",
    "[",
    "]",
    "*",
    "$(",
    "é",
    "))",
]
PRELUDE = 'p() { printf "%s\\n" "$@"; }\n'


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """Draw a script with an expression somewhere, and now and then something that tears it apart."""
    text = draw(st.sampled_from(SCRIPTS))
    for piece in draw(st.lists(st.sampled_from(NOISE), max_size=2)):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + piece + text[at + draw(st.integers(0, 1)) :]
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(text)))
        end = at
        if draw(st.booleans()):
            while end < len(text) and text[end].isalnum():
                end += 1
        text = text[:at] + EXPRESSION + text[end:]
    return text


def compiled(script: str) -> Script | None:
    try:
        return compile_script(split(script), "bash", lambda _: "WINDLASS_EXPR_1")[0]
    except ExpressionError:
        return None


@settings(max_examples=300)
@given(scripts(), st.sampled_from(HOSTILE))
def test_a_script_is_refused_or_safe(text: str, value: str) -> None:
    script = compiled(text)
    if script is None:
        return
    frame = Frame({"parameters": {"v": value}}, {}, {})
    try:
        rendered = script.render(frame)
    except ExpressionError:
        return
    assert value not in rendered
    with tempfile.TemporaryDirectory() as folder:
        for shell in SHELLS:
            process = subprocess.Popen(
                [shell, "-c", PRELUDE + rendered],
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "A": "v", **frame.variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:  # a loop that the noise has made endless is as good as any
                process.kill()
                process.wait()
            assert not Path(folder, "marker").exists(), (shell, rendered)


@given(st.text(max_size=60))
def test_any_text_is_judged_without_a_fault(text: str) -> None:
    for place in (text + EXPRESSION, EXPRESSION + text, f'{text}"{EXPRESSION}"', f"{EXPRESSION}{text}{EXPRESSION}"):
        compiled(place)


@given(scripts(), st.text(max_size=20))
def test_the_text_of_a_value_is_never_in_the_script(text: str, value: str) -> None:
    script = compiled(text)
    marked = f"\u2603{value}"
    if script is None:
        return
    try:
        rendered = script.render(Frame({"parameters": {"v": marked}}, {}, {}))
    except ExpressionError:
        return
    assert "\u2603" not in rendered
