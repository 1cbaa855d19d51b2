"""Commands that a shell runs itself and that read an argument as code, as a name or as arithmetic.

The rules hold in dash, bash, ksh, mksh, posh, zsh and busybox at once: what one of them acts on is refused for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from windlass.model.injection.commands import judge
from windlass.model.injection.words import NUMBER, Verdicts, Word, holes, names, refused

_NAME: Final = "reads its arguments as names of variables, and runs the command in a name such as a[$(command)]"
_ARITHMETIC: Final = "is arithmetic and runs the command in a value such as a[$(command)]"
_CODE: Final = "can run its arguments as code"
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(names("eval trap alias fc history jobs coproc emulate sched bindkey zle bind"), _CODE),
    **dict.fromkeys(names("mapfile readarray complete compgen compopt enable hash zmodload autoload functions"), _CODE),
    **dict.fromkeys(names("zcompile ztcp add-zsh-hook"), _CODE),
    **dict.fromkeys(names("read unset getopts vared nameref unalias unfunction zparseopts setvar wait"), _NAME),
    **dict.fromkeys(names("declare typeset integer float export readonly local"), _NAME),
    **dict.fromkeys(names("let repeat"), _ARITHMETIC),
    "print": "reads options that differ among shells",
}
#: Each operand is a number, which ksh, mksh, posh and zsh read as arithmetic.
NUMBERS: Final = names("exit return shift break continue ulimit logout sleep")
COMPARISONS: Final = names("-eq -ne -lt -le -gt -ge")
_BINARY: Final = COMPARISONS | names("= == != < > -nt -ot -ef")
_UNARY: Final = names("-b -c -d -e -f -g -h -k -L -n -N -O -G -p -r -s -S -u -w -x -z")
_DIRECTIVE: Final = re.compile(
    r"%(?:%|[-+ #0']*(?P<width>\*|[0-9]*)(?:\.(?P<precision>\*|[0-9]*))?(?P<kind>\([^)]*\)T|.|\Z))", re.DOTALL
)


def judge_in_shell(words: Sequence[Word]) -> Verdicts:
    """Return what is to be said of the words with expressions of a command that a shell reads."""
    start = _past_time(words)
    if start >= len(words):
        return {}
    name = words[start].text
    if name is None:
        return judge(words, start)
    if name in {"command", "builtin", "nocorrect", "noglob"}:
        return _inner(words, start)
    if name in _REFUSED:
        return dict.fromkeys(holes(words, start + 1), refused(f"is an argument of {name}, which {_REFUSED[name]}"))
    if name in NUMBERS:
        return dict.fromkeys(holes(words, start + 1), NUMBER)
    return _BUILTINS.get(name, judge)(words, start)


def _inner(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `command -p NAME ...`, which may name a builtin."""
    at = start + 1
    while at < len(words) and words[at].prefix.startswith("-"):
        if words[at].text in {"-v", "-V"}:
            return {}
        at += 1
    return {index + at: verdict for index, verdict in judge_in_shell(words[at:]).items()}


def _past_time(words: Sequence[Word]) -> int:
    """Return where the command begins behind the keyword `time`, which the parser takes for one."""
    start = 0
    while start < len(words) and words[start].text == "time":
        start += 1
        while start < len(words) and words[start].text in {"-p", "--"}:
            start += 1
    return start


def _harmless(words: Sequence[Word], start: int) -> Verdicts:
    """Judge what only prints or ignores its arguments."""
    del words, start
    return {}


def _source(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `. FILE`: a value may choose among files of a folder, as it may for `bash ./FILE`."""
    verdict = refused(f"would be the file that {words[start].text} runs; write a folder before it, such as ./")
    return {at: verdict for at in holes(words, start + 1) if at == start + 1 and "/" not in words[at].prefix}


def _set(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `set -- VALUE`: without `--` a value could be an option."""
    for at in range(start + 1, len(words)):
        if words[at].text == "--":
            return {}
        if words[at].has_hole:
            return {at: refused("could be an option of set; write set -- before it")}
    return {}


def _test(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `test` and `[`: each value must stand where it can be an operand only, and no name of a variable."""
    end = len(words) - 1 if words[start].text == "[" and words[-1].text == "]" else len(words)
    found: Verdicts = {}
    for at in holes(words[:end], start + 1):
        before = words[at - 1].text if at > start + 1 else None
        after = words[at + 1].text if at + 1 < end else None
        is_first = before is None or (before == "!" and at == start + 2)
        if {before, after} & (COMPARISONS | {"-t"}):
            found[at] = NUMBER
        elif not ({before, after} & _BINARY or before in _UNARY or (is_first and at + 1 == end)):
            found[at] = refused('could be an operator of test; write [ -n "..." ] or a comparison')
    return found


def _printf(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `printf FORMAT VALUE...`: what a numeric directive gets is arithmetic to ksh and zsh."""
    at = start + 1
    if words[at : at + 1] and words[at].text == "-v":
        if words[at + 1 : at + 2] and words[at + 1].has_hole:
            return {at + 1: refused(f"is an argument of printf -v, which {_NAME}")}
        at += 2
    elif words[at : at + 1] and words[at].text == "--":
        at += 1
    if at >= len(words):
        return {}
    if words[at].may_be_option and words[at - 1].text != "--":
        return {at: refused("could be an option of printf; write printf '%s' before it")}
    arguments = holes(words, at + 1)
    text = words[at].text
    if text is None:
        return dict.fromkeys(arguments, refused("meets a format that is not known yet; write '%s' for the format"))
    kinds = _directives(text)
    return {index: NUMBER for index in arguments if kinds and kinds[(index - at - 1) % len(kinds)] == "number"}


def _directives(text: str) -> list[str]:
    """Return what the directives of a printf format take, argument by argument: `text` or `number`."""
    kinds: list[str] = []
    for match in _DIRECTIVE.finditer(text):
        if match.group() != "%%":
            kinds.extend("number" for part in (match["width"], match["precision"]) if part == "*")
            kinds.append("text" if match["kind"] in {"s", "b", "q", "c", "Q"} else "number")
    return kinds


_BUILTINS: Final[Mapping[str, Callable[[Sequence[Word], int], Verdicts]]] = {
    **dict.fromkeys(names("echo : true false logger cd pushd type which umask"), _harmless),
    "set": _set,
    ".": _source,
    "source": _source,
    "test": _test,
    "[": _test,
    "printf": _printf,
}
