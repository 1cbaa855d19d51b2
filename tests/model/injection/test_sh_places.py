"""Where in a script for sh an expression may stand: every place, accepted or refused with the way out."""

from __future__ import annotations

import pytest

from windlass.errors import ExpressionError
from windlass.model.injection.nodes import Frame
from windlass.model.injection.sh import compile_script
from windlass.model.template import split

pytestmark = pytest.mark.promise("O03")


def complaints(script: str, shell: str = "sh") -> list[str]:
    """Return what is said of a script in which X stands for an expression."""
    pieces = split(script.replace("X", "${{ parameters.v }}"))
    try:
        compiled, found = compile_script(pieces, shell, lambda _: "WINDLASS_EXPR_1")
    except ExpressionError as error:
        return [str(error)]
    assert (compiled is None) == any(complaint.is_error for complaint in found)
    return [complaint.message for complaint in found]


def render(script: str, value: object, shell: str = "sh") -> str:
    """Return the script as it runs; V stands for the variable."""
    compiled, found = compile_script(
        split(script.replace("X", "${{ parameters.v }}")), shell, lambda _: "WINDLASS_EXPR_1"
    )
    assert compiled is not None, found
    return compiled.render(Frame({"parameters": {"v": value}}, {}, {})).replace("WINDLASS_EXPR_1", "V")


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("echo X", 'echo "${V}"'),
        ("echo aXb XX", 'echo a"${V}"b "${V}""${V}"'),
        ('echo "X" "a X b"', 'echo "${V}" "a ${V} b"'),
        ("echo \"it's X\" 'and'X", 'echo "it\'s ${V}" \'and\'"${V}"'),
        ("echo é X", 'echo é "${V}"'),
        ("A=X", 'A="${V}"'),
        ('A=X B="X" cmd', 'A="${V}" B="${V}" cmd'),
        ("export A=X", 'export A="${V}"'),
        ("readonly A=X", 'readonly A="${V}"'),
        ("f() { local A=X; echo X; }", 'f() { local A="${V}"; echo "${V}"; }'),
        ("cat < X > X 2>> X", 'cat < "${V}" > "${V}" 2>> "${V}"'),
        ("exec 3> X", 'exec 3> "${V}"'),
        ("case X in a) echo X ;; esac", 'case "${V}" in a) echo "${V}" ;; esac'),
        ("for i in a X; do echo X; done", 'for i in a "${V}"; do echo "${V}"; done'),
        ("while read -r l; do echo X; done < f", 'while read -r l; do echo "${V}"; done < f'),
        (
            "if [ X = eu ]; then :; elif [ -n X ]; then :; fi",
            'if [ "${V}" = eu ]; then :; elif [ -n "${V}" ]; then :; fi',
        ),
        ("[ a != X ] && [ a == X ] && [ b != aX* ]", '[ a != "${V}" ] && [ a == "${V}" ] && [ b != a"${V}"* ]'),
        ("[ ! X ] || [ X ]", '[ ! "${V}" ] || [ "${V}" ]'),
        ("test -f X || test ! -d X", 'test -f "${V}" || test ! -d "${V}"'),
        ('echo $(ls X) "$(ls "X")"', 'echo $(ls "${V}") "$(ls "${V}")"'),
        ("(cd X && ls) | sort & wait", '(cd "${V}" && ls) | sort & wait'),
        ("! grep -q X f", '! grep -q "${V}" f'),
        ("time ls X", 'time ls "${V}"'),
        ("cat <<EOF\na X 'X'\nEOF\n", "cat <<EOF\na ${V} '${V}'\nEOF\n"),
        ("cat <<-EOF\n\tX\n\tEOF\n", "cat <<-EOF\n\t${V}\n\tEOF\n"),
        ("x=$(cat <<EOF\nX\nEOF\n)", "x=$(cat <<EOF\n${V}\nEOF\n)"),
        ("printf '%s\\n' X", "printf '%s\\n' \"${V}\""),
        ("set -- a X", 'set -- a "${V}"'),
        ("command -v X", 'command -v "${V}"'),
        ("sh -c 'echo \"$1\"' sh X", 'sh -c \'echo "$1"\' sh "${V}"'),
        ("docker exec c sh -c 'echo \"$1\"' sh X", 'docker exec c sh -c \'echo "$1"\' sh "${V}"'),
        (". ./env/X.sh", '. ./env/"${V}".sh'),
        ("cmd X; grep sh X; apt-get install python3 X", 'cmd "${V}"; grep sh "${V}"; apt-get install python3 "${V}"'),
        ("echo X | jq . && echo X | grep bash", 'echo "${V}" | jq . && echo "${V}" | grep bash'),
        ("jq --arg x X '.a == $x' f", "jq --arg x \"${V}\" '.a == $x' f"),
        ("psql -v region=X -h X -f q.sql", 'psql -v region="${V}" -h "${V}" -f q.sql'),
        ("bash ./X.sh X", 'bash ./"${V}".sh "${V}"'),
        ("python3 s.py --name X", 'python3 s.py --name "${V}"'),
        ("awk -v n=X '{print n}' f", "awk -v n=\"${V}\" '{print n}' f"),
        ("sudo -u app env A=X nice -n 5 ls X", 'sudo -u app env A="${V}" nice -n 5 ls "${V}"'),
        ("timeout X ls X", 'timeout "${V}" ls "${V}"'),
        ("find . -name X -exec rm {} +", 'find . -name "${V}" -exec rm {} +'),
        ("git checkout X && git commit -m X", 'git checkout "${V}" && git commit -m "${V}"'),
        ("git clone -- X d", 'git clone -- "${V}" d'),
        ("tar -czf X d/X", 'tar -czf "${V}" d/"${V}"'),
        ('echo \\\\X "\\\\X"', 'echo \\\\"${V}" "\\\\${V}"'),
        ("echo a \\\n  X", 'echo a \\\n  "${V}"'),
        ("echo *X ~X [X]", 'echo *"${V}" ~"${V}" ["${V}"]'),
    ],
)
def test_a_value_is_referred_to_and_quoted(script: str, runs: str) -> None:
    assert complaints(script) == []
    assert render(script, "text") == runs


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("a=(X b)", 'a=("${V}" b)'),
        ("A+=X", 'A+="${V}"'),
        ("cat <<< X", 'cat <<< "${V}"'),
        ("diff <(ls X) f &> X", 'diff <(ls "${V}") f &> "${V}"'),
        ("function f { echo X; }", 'function f { echo "${V}"; }'),
    ],
)
def test_what_bash_adds(script: str, runs: str) -> None:
    assert render(script, "text", "bash") == runs


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'X'", "stands in single quotes, in which nothing is replaced; write double quotes"),
        ("echo a'b X'c", "stands in single quotes"),
        ("echo $'X'", "stands in $'...'"),
        ('echo $"X"', 'stands in $"..."'),
        ("echo \\X", "follows a backslash; write $${{ for a literal ${{"),
        ('echo "\\\\\\X"', "follows a backslash"),
        ("# X", "stands in a comment"),
        ("echo a # X", "stands in a comment"),
        ("cat <<'EOF'\nX\nEOF", "stands in a here-document whose end is quoted"),
        ('cat <<"EOF"\nX\nEOF', "stands in a here-document whose end is quoted"),
        ("cat <<E\\OF\nX\nEOF", "stands in a here-document whose end is quoted"),
        ("X", "would be the name of a command; choose among names that the script has, by `case`"),
        ("X a", "would be the name of a command"),
        ('"X" a', "would be the name of a command"),
        ("./X a", "would be the name of a command"),
        ("$(X)", "would be the name of a command"),
        ("$(echo X) a", "would be the name of a command"),
        ("if X; then :; fi", "would be the name of a command"),
        ("a | X", "would be the name of a command"),
        ("a && X", "would be the name of a command"),
        ("! X", "would be the name of a command"),
        ("time X", "would be the name of a command"),
        ("A=1 X", "would be the name of a command"),
        ("exec X", "would be the name of a command"),
        ("command X", "would be the name of a command"),
        ("nohup X &", "would be the name of a command"),
        ("env A=b X", "would be the name of a command"),
        ("env X a", "would be the name of a command"),
        ("sudo -u root X", "would be the name of a command"),
        ("timeout -k 5 10 X", "would be the name of a command"),
        ("X() { :; }", "would be the name of a function"),
        ("X=a", "stands where the name of a variable is"),
        ("aX=b", "stands where the name of a variable is"),
        ("for X in a; do :; done", "stands where the name of a variable is"),
        ("export X", "stands where the name of a variable is"),
        ('export "X=a"', "is the name of a variable that export reads"),
        ("unset X", "is the name of a variable that unset reads"),
        ("read X", "is an argument of read, which reads its arguments as names"),
        ("echo $((X + 1))", "compute it in the expression, as in ${{ parameters.n + 1 }}"),
        ("echo $((1 , X))", "stands in $((...))"),
        ('echo "$((X))"', "is arithmetic"),
        ("echo $[X]", "is arithmetic"),
        ('echo "$[ 1 + X ]"', "is arithmetic"),
        ("(( X ))", "stands in ((...))"),
        ("((a X))", "the script cannot be parsed"),
        ("for ((i=0; i<X; i++)); do :; done", "is arithmetic"),
        ("let X", "is an argument of let, which is arithmetic"),
        ("let a=X", "is an argument of let"),
        ("[[ X = a ]]", "stands in [[ ]]"),
        ("[[ -n X ]]", "stands in [[ ]]"),
        ("[[ a != X ]]", "stands in a pattern"),
        ("[[ $a -eq X ]]", "stands in [[ ]]"),
        ("`ls X`", "stands in backticks"),
        ('echo "`ls X`"', "stands in backticks"),
        ("echo `echo $(ls X)`", "stands in backticks"),
        ("echo ${A:-X}", "stands in ${...}"),
        ('echo "${A#X}"', "stands in a pattern"),
        ("a[X]=1", "stands in the index of an array"),
        ("a=([X]=1)", "stands in the index of an array"),
        ("echo {1..X} ", "stands in {..}"),
        ("echo {a,X}", "stands in {..}"),
        ("case a in X) ;; esac", "pattern"),
        ("case a in b|X) ;; esac", "pattern"),
        ("select i in X; do :; done", "stands where the name of a variable or a menu of select is"),
        ("a >&X", "is the number of an open file"),
        ("a 2>&X", "is the number of an open file"),
        ("a <&X", "is the number of an open file"),
        ("eval X", "is an argument of eval, which can run its arguments as code"),
        ('eval "echo X"', "is an argument of eval"),
        ("'eval' X", "is an argument of eval"),
        ("e\\val X", "is an argument of eval"),
        ("command -p eval X", "is an argument of eval"),
        ("builtin eval X", "is an argument of eval"),
        ('eval "$(cat X)"', "is an argument of eval"),
        ("trap X EXIT", "is an argument of trap"),
        (". X", "would be the file that . runs; write a folder before it, such as ./"),
        ("source X", "would be the file that source runs"),
        ("command . X", "would be the file that . runs"),
        ("alias a=X", "is an argument of alias"),
        ("declare -i A=X", "declares to be more than a text"),
        ("declare A=X", "is an argument of declare"),
        ("typeset -a A=X", "declares to be more than a text"),
        ("declare -i N; N=X", "is assigned to N, which the script declares to be more than a text"),
        ("declare -A m; m=X", "is assigned to m"),
        ('typeset -i "$n"; N=X', "is assigned to N"),
        ("printf -v X a", "is an argument of printf -v"),
        ("printf X", "could be an option of printf"),
        ('printf "$F" X', "meets a format that is not known yet"),
        ("getopts a X", "is an argument of getopts"),
        ("mapfile -C X a", "is an argument of mapfile"),
        ("set X", "could be an option of set"),
        ("test -v X", "could be an operator of test"),
        ("[ -v X ]", "could be an operator of test"),
        ("test X X", "could be an operator of test"),
        ("sh -c X", "stands in the code of another shell"),
        ('bash -euo pipefail -c "ls X"', "stands in the code of another shell"),
        ("env -i sh -c X", "stands in the code of sh -c"),
        ("sudo sh -c X", "stands in the code of sh -c"),
        ("timeout 5 bash -lc X", "stands in the code of another shell"),
        ("docker run i sh -c X", "stands in the code of sh -c"),
        ("kubectl exec p -- bash -c 'ls' -c X", None),
        ("docker run --entrypoint sh i -c X", "stands in the code of"),
        ("sh $O -c X", "stands in the code of another shell"),
        ("$CMD -c X", "stands in the code of what comes before -c"),
        ("bash X", "could be an option of bash"),
        ("bash -X a", "would be an option of bash"),
        ("bash <(echo X)", "could be an option of bash"),
        ("su -c X", "is an argument of su, which gives it to a shell"),
        ('su - app -c "ls X"', "is an argument of su"),
        ("ssh host ls X", "is an argument of ssh, which a remote shell reads as a command line"),
        ("ssh X ls", "is an argument of ssh"),
        ("xargs -n1 echo X", "is an argument of xargs"),
        ("ls | xargs -I{} sh -c 'ls {} X'", "single quotes"),
        ("find . -exec sh -c X \\;", "stands in the code of find -exec"),
        ("find . -exec X \\;", "stands in the code of find -exec"),
        ("python3 -c \"print('X')\"", "stands in the code of python3 -c"),
        ("python3.11 -cX", "stands in the code of python3.11"),
        ("python3 X", "could be an option of python3"),
        ("python3 -m X", "would be what python3 -m loads"),
        ("perl -e X", "stands in the code of perl -e"),
        ('perl -lane "print X" f', "stands in the code of perl -lane"),
        ("perl -ne 'print' X", "would run as a command if it ends in |"),
        ('awk "{print X}" f', "stands in the code of awk"),
        ("node --eval=X", "stands in the code of node"),
        ("make X", "which expands $(shell ...)"),
        ("git -c core.pager=X log", "is a setting of git"),
        ("git clone X", "could be an option of git"),
        ("rsync -e X a b", "could be an option of rsync"),
        ("rsync -a f host:X", "is a path that the remote shell may read as code"),
        ("tar --to-command=X -xf a", "becomes a command that tar runs"),
        ("pwsh -Command X", "stands in the code of PowerShell"),
        ("cmd /c X", "is an argument of cmd"),
        ("echo X | sh", "becomes input that sh reads as code"),
        ("{ echo X; } | sudo bash -s", "becomes input that bash reads as code"),
        ("curl X | python3 -", "becomes input that python3 reads as code"),
        ("sh <<EOF\nX\nEOF", "becomes input that sh reads as code"),
        ("cat <<EOF | ssh host\nX\nEOF", "becomes input that ssh reads as code"),
        ("cat X <<EOF | sh\na\nEOF", "becomes input that sh reads as code"),
        ("bash <<< X", "becomes input that bash reads as code"),
        ("bash < X", "becomes input that bash reads as code"),
        ("cat <<EOF\n`ls X`\nEOF", "stands in a here-document with `"),
        ("cat <<EOF\n$((1 + X))\nEOF", "is arithmetic"),
        ("cat <<EOF\na $[1 + X]\nEOF", "stands in a here-document with $["),
        ("PATH=X", "is assigned to PATH, which decides what programs do"),
        ("LD_PRELOAD=X ls", "is assigned to LD_PRELOAD"),
        ("PS4=X; set -x", "is assigned to PS4"),
        ("BASH_ENV=X bash s", "is assigned to BASH_ENV"),
        ("RANDOM=X", "is assigned to RANDOM, a number of the shell's own"),
        ("env IFS=X ls", "is the value of IFS"),
        ("A+=X", "stands behind +=, which sh does not know"),
        ('echo "X', "the script cannot be parsed"),
        ("echo $X", "the script cannot be parsed"),
        ("if true; then echo X", "the script cannot be parsed"),
        ("echo WINDLASS_EXPR_9 X", None),
    ],
)
def test_every_other_place_is_refused_with_the_way_out(script: str, reason: str | None) -> None:
    if reason is not None:
        assert any(reason in complaint for complaint in complaints(script))
    assert all("\n" not in complaint for complaint in complaints(script))


def test_a_script_cannot_hold_names_that_are_ours() -> None:
    pieces = split("echo $WINDLASS_EXPR_1 ${{ parameters.v }}")
    with pytest.raises(ExpressionError, match="names that begin so carry the values of expressions"):
        compile_script(pieces, "sh", lambda _: "WINDLASS_EXPR_1")


@pytest.mark.parametrize("script", ['echo "$A[X]"', "echo $A[X]", 'echo "$A[1,X]"'])
def test_zsh_has_indexes_without_braces(script: str) -> None:
    assert complaints(script, "bash") == []
    assert complaints(script, "zsh") == ["stands in the index of an array, which zsh reads as arithmetic"]


def test_zsh_has_variables_of_its_own() -> None:
    assert complaints("path=X", "sh") == []
    assert complaints("path=X", "zsh") == [
        "is assigned to path, which has a meaning of its own in zsh; use another name"
    ]


@pytest.mark.parametrize(
    "script",
    [
        "[ X -gt 5 ]",
        'test 1 -lt "X"',
        "exit X",
        "return X",
        "shift X",
        "sleep X",
        "printf '%d\\n' X",
        "printf '%s %*d' a X 2",
        "N=X; echo $((N + 1))",
        "N=X; [ $N -gt 3 ]",
        "N=X; [[ $N -gt 3 ]]",
        "N=X; (( N++ ))",
        "N=X; echo ${A:N:1} ${a[N]}",
        "N=X; let N=N+1",
        "for n in X; do echo $((n)); done",
        "N=X; cat <<EOF\n$((N + 1))\nEOF",
        "N=X; exit $N",
    ],
)
def test_where_a_shell_counts_the_value_must_be_a_number(script: str) -> None:
    assert complaints(script) == []
    for number in (7, -1, "42", "+3", "1.5"):
        assert "V" not in render(script, number)
    for other in ("a[$(touch marker)]", "", "1 2", "0x1f", "1\n", "\u0661", True, [1], "1e5"):
        with pytest.raises(ExpressionError, match="must be a number"):
            render(script, other)


@pytest.mark.parametrize("script", ["N=X; echo $N", "N=X; echo ${N:0:3}", "n=X; [ $n = a ]; [ 1 -eq 2 ]"])
def test_where_nothing_counts_with_it_any_text_will_do(script: str) -> None:
    assert '"${V}"' in render(script, "a[$(touch marker)]")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('sed -i "s/a/X/" f', "becomes part of the program of sed, which is not quoted"),
        ("psql -c \"select 'X'\"", "becomes part of SQL or code, which is not quoted"),
    ],
)
def test_languages_inside_of_arguments_are_a_warning(script: str, message: str) -> None:
    assert complaints(script) == [message]
    assert "${V}" in render(script, "text")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('V=X; ssh host "ls $V"', "is assigned to V, and $V is an argument of ssh"),
        ('V="X"; eval "echo ${V%x}"', "is assigned to V, and $V is an argument of eval"),
        ('for v in X; do sh -c "ls $v"; done', "is assigned to v, and $v stands in the code of another shell"),
        ('V=$(cat X); python3 -c "print($V)"', "is assigned to V, and $V stands in the code of python3 -c"),
    ],
)
def test_a_variable_that_is_handed_on_as_code_is_a_warning(script: str, message: str) -> None:
    (found,) = complaints(script)
    assert found.startswith(message)
    assert "${V}" in render(script, "text")


@pytest.mark.parametrize(
    "script", ['V=X; echo "$V"; $CMD "$V"', "V=X; VW=1; ssh $VW", "V=X; sh -c 'echo $1' sh \"$V\""]
)
def test_a_variable_that_stays_an_argument_is_none(script: str) -> None:
    assert complaints(script) == []


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ('echo "$aX" "${a}X" "$1X" "a X" "aX"', 'echo "$a${V}" "${a}5" "$1${V}" "a 5" "a${V}"'),
        ("echo $aX X$a X>f 2>X;ls X", 'echo $a"5" "5"$a "5">f 2>"5";ls 5'),
        ("cat <<EOF\n$aX X\nEOF", "cat <<EOF\n$a${V} 5\nEOF"),
    ],
)
def test_digits_never_join_what_stands_beside_them(script: str, runs: str) -> None:
    assert render(script, 5) == runs
    assert render(script, "text").count("${V}") == script.count("X")


def test_raw_text_is_pasted_and_what_stands_beside_it_is_still_carried() -> None:
    script = "${{ raw(parameters.c) }} ${{ parameters.v }} '${{ raw(parameters.c) }}'"
    compiled, found = compile_script(split(script), "sh", lambda _: "WINDLASS_EXPR_1")
    assert compiled is not None
    assert found == []
    frame = Frame({"parameters": {"c": "ls -l;", "v": "$(x)"}}, {}, {})
    assert compiled.render(frame) == "ls -l; \"${WINDLASS_EXPR_1}\" 'ls -l;'"
    assert frame.variables == {"WINDLASS_EXPR_1": "$(x)"}


def test_the_line_of_what_cannot_be_parsed_is_named() -> None:
    assert complaints("echo a\necho b\necho $(X\n")[0].startswith("line ")
