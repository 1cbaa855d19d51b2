"""Rules for one command, word by word: where in it a value could be read as code.

They hold for lists of arguments and for the commands of a script alike; `builtins` adds what a shell does itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final

from windlass.model.injection.programs import (
    ALL_ARGUMENTS,
    CARRIERS,
    CODE_OPTIONS,
    COMMAND_OPTIONS,
    GIT_TRANSPORT,
    GUARDED,
    LANGUAGES,
    POSIX_SHELLS,
    POWERSHELLS,
    READS_COMMANDS,
    REMOTE_PATHS,
    SHELLS,
    SQL_CLIENTS,
    SQL_OPTIONS,
    STARTERS,
    Interpreter,
    Starter,
    interpreter,
    runs_code,
)
from windlass.model.injection.variables import NAME, may_not_be_set
from windlass.model.injection.words import SCRIPT, Verdict, Verdicts, Word, holes, program_name, refused

_BY_ENV: Final = "pass it by `env` or as a further argument, and use that in the code"
#: Commands that start each other, as `env nice timeout 5 sh` does, and commands of one `find`.
MAX_DEPTH: Final = 16
_TOO_DEEP: Final = refused(f"stands behind more than {MAX_DEPTH} commands within commands; put them into a file")
_NO_NAME: Final = refused("would be the name of a command; choose among names that the script has, by `case`")


def judge(  # noqa: PLR0911 - one return a kind of program
    words: Sequence[Word], start: int = 0, *, keeps_env: bool = True, depth: int = 0, in_find: bool = False
) -> Verdicts:
    """Return what is to be said of the words with expressions of the command that begins at `start`.

    With `keeps_env` the command gets the environment that carries our values. `depth` is how many commands have started
    each other up to here; with `in_find` a `find` is among them, which looks at every -exec behind it by itself.
    """
    if start >= len(words) or not holes(words, start):
        return {}
    if words[start].has_hole:
        return {start: _NO_NAME}
    if depth > MAX_DEPTH:
        return dict.fromkeys(holes(words, start), _TOO_DEEP)
    name = program_name(words[start]) or ""
    if name in SHELLS:
        return _shell(words, start, name, keeps_env=keeps_env)
    if name in STARTERS:
        found, inner, keeps_env = _starter(words, start, name, keeps_env=keeps_env)
        return found | judge(words, inner, keeps_env=keeps_env, depth=depth + 1, in_find=in_find)
    if name == "find":
        return {} if in_find else _find(words, start)
    if rules := interpreter(name):
        return _interpreter(words, start, rules, name)
    return _BY_NAME.get(name, _unknown)(words, start)


def own_language(words: Sequence[Word]) -> Mapping[int, str]:
    """Return the words with expressions that a program reads in a language of its own, with the name of that."""
    for start in _commands(words):
        name = program_name(words[start]) or ""
        if name in LANGUAGES:
            inside = [at for at in holes(words, start + 1) if _is_program(words, at, start)]
            return dict.fromkeys(inside, f"the program of {LANGUAGES[name]}")
        if name in SQL_CLIENTS:
            return dict.fromkeys([at for at in holes(words, start + 1) if _is_sql(words, at)], "SQL or code")
    return {}


def _is_program(words: Sequence[Word], at: int, start: int) -> bool:
    """Say whether a word is a part of a program rather than a file or the value of an argument."""
    before = [word.text for word in words[max(at - 2, start) : at]]
    if "-e" in before[-1:] or words[at].prefix.startswith(("-e", "--expression=")):
        return True
    operands = [word for word in words[start + 1 : at] if not word.prefix.startswith("-")]
    return not operands and not words[at].prefix.startswith("-") and before[:1] != ["--arg"]


def _is_sql(words: Sequence[Word], at: int) -> bool:
    """Say whether a word is SQL: it follows an option for it, or has blanks of its own."""
    option = words[at].prefix.partition("=")[0]
    return words[at - 1].text in SQL_OPTIONS or option in SQL_OPTIONS or " " in words[at].prefix


def _commands(words: Sequence[Word]) -> list[int]:
    """Return where in `words` a command may begin: at the start, and anywhere behind what starts another one."""
    found = [0] if words else []
    for at, word in enumerate(words[:-1]):
        name = program_name(word)
        if at in found and (name is None or name in STARTERS or name in CARRIERS or name == "find"):
            return [*found, *range(at + 1, len(words))]
    return found


def reads_input_as_code(words: Sequence[Word]) -> str | None:
    """Return the name of the program that takes its standard input for code, or None where the command has none."""
    texts = [word.text for word in words]
    last_flag = max((at for at, text in enumerate(texts) if text in {"-s", "-"}), default=0)
    for start in _commands(words):
        name = program_name(words[start])
        if name is None:
            continue
        if name in ALL_ARGUMENTS or (name in READS_COMMANDS and start == 0):
            return name
        if not runs_code(name):
            continue
        behind = islice(texts, start + 1, None)
        operand = next((text for text in behind if text is None or not text.startswith("-")), "/dev/stdin")
        if operand == "/dev/stdin" or last_flag > start:
            return name
    return None


def _shell(words: Sequence[Word], start: int, name: str, *, keeps_env: bool) -> Verdicts:
    """Judge `sh [options] [-c script | file] [arguments]`."""
    takes_script, guessed, at = False, False, start + 1
    while at < len(words):
        text = words[at].prefix
        is_unknown = words[at].text is None and not text and not words[at].has_hole
        if is_unknown:  # may be options: what stands behind could be their script
            guessed, at = True, at + 1
            continue
        if not text.startswith(("-", "+")) or words[at].text in {"-", "--"}:
            at += words[at].text in {"-", "--"}
            break
        if words[at].has_hole:
            return {at: refused(f"would be an option of {name}; write the option out")}
        takes_script = takes_script or ("c" in text[1:] and not text.startswith("--"))
        at += 2 if text[-1:] in {"o", "O"} or text in {"--rcfile", "--init-file"} else 1
    if at >= len(words) or not words[at].has_hole:
        return {}
    if takes_script:
        return {at: SCRIPT if name in POSIX_SHELLS and keeps_env else _in_code_of(f"{name} -c")}
    if words[at - 1].text == "--" or (words[at].prefix and not guessed):
        return {}
    return {at: refused(f"could be an option of {name}, or its code; write {name} -- before it")}


def _in_code_of(what: str) -> Verdict:
    return refused(f"stands in the code of {what}; {_BY_ENV}")


def _interpreter(words: Sequence[Word], start: int, rules: Interpreter, name: str) -> Verdicts:
    """Judge `python [options] [-c code | file] [arguments]`."""
    found = _guess(words, start, name)
    at, has_code, has_file = start + 1, False, False
    while at < len(words) and words[at].prefix.startswith("-") and words[at].text not in {"-", "--"}:
        text = words[at].prefix
        is_code, takes_next = _option(text, rules)
        has_code = has_code or is_code
        has_file = has_file or text.startswith(("-f", "--file", "--exec"))
        if words[at].has_hole and not (rules.first_operand_is_code and text.startswith("-v") and "=" in text):
            found[at] = (
                _in_code_of(f"{name} {text}") if is_code else refused(f"stands in an option of {name}; {_BY_ENV}")
            )
        at += 1
        if takes_next and at < len(words):
            if words[at].has_hole and is_code:
                found[at] = _in_code_of(f"{name} {text}")
            elif words[at].may_be_option:
                found[at] = refused(f"would be what {name} {text} loads or sets; write it out")
            at += 1
    if at < len(words) and words[at].has_hole and not has_code:
        found.update(_first_operand(words, at, rules, name, has_file=has_file))
    if name.startswith("perl") and any(
        set("np") & {*word.prefix} for word in words[start + 1 : at] if word.prefix[:1] == "-"
    ):
        found.update(
            dict.fromkeys(holes(words, at), refused("would run as a command if it ends in |; use input instead"))
        )
    return found


def _guess(words: Sequence[Word], start: int, name: str) -> Verdicts:
    """Judge what follows a code option that stands behind words which may be options themselves."""
    first = next((at for at in range(start + 1, len(words)) if words[at].text is None), len(words))
    return {
        at: _in_code_of(f"{name} {words[at - 1].text}")
        for at in holes(words, first + 1)
        if words[at - 1].text in CODE_OPTIONS and not words[first].has_hole
    }


def _first_operand(words: Sequence[Word], at: int, rules: Interpreter, name: str, *, has_file: bool) -> Verdicts:
    """Judge the word that is the program, or the file that has it."""
    if rules.first_operand_is_code:
        return {} if has_file else {at: _in_code_of(name)}
    if words[at].may_be_option and words[at - 1].text != "--":
        return {at: refused(f"could be an option of {name}; write a folder before it, such as ./")}
    return {}


def _option(text: str, rules: Interpreter) -> tuple[bool, bool]:
    """Say of an option whether its argument is code, and whether that is the next word."""
    name, has_value, _ = text.partition("=")
    if name in rules.long_code:
        return True, not has_value
    if text.startswith("--"):
        return False, False
    for place, letter in enumerate(text[1:], 1):
        if letter in rules.code or letter in rules.takes:
            return letter in rules.code, place == len(text) - 1
    return False, False


def _starter(words: Sequence[Word], start: int, name: str, *, keeps_env: bool) -> tuple[Verdicts, int, bool]:
    """Judge `env NAME=value command ...` and its kin up to the command.

    Return where that begins, and whether it gets the environment.
    """
    rules = STARTERS[name]
    found: Verdicts = {}
    at, operands = start + 1, rules.operands
    keeps_env = keeps_env and rules.keeps_env
    while at < len(words):
        text = words[at].prefix
        if text.startswith("-") and len(text) > 1:
            if name == "command" and text in {"-v", "-V"}:
                return {}, len(words), keeps_env
            keeps_env = keeps_env and not (name == "env" and text in {"-i", "--ignore-environment"})
            at = _starter_option(words, at, rules, found)
        elif rules.assigns and "=" in text and NAME.match(assigned := text.partition("=")[0]):
            if words[at].has_hole and (reason := may_not_be_set(assigned)):
                found[at] = refused(f"is the value of {reason}")
        elif operands:
            operands -= 1
        else:
            break
        at += 1
    return found, at, keeps_env


def _starter_option(words: Sequence[Word], at: int, rules: Starter, found: Verdicts) -> int:
    """Judge one option and its argument; return the index of its last word."""
    text = words[at].prefix
    option, has_value, _ = text.partition("=")
    is_code = option in rules.code or any(text.startswith(code) for code in rules.code if not code.startswith("--"))
    last = at + 1 if not has_value and option in rules.takes | rules.code and at + 1 < len(words) else at
    if is_code:
        found.update({index: _in_code_of(option) for index in holes(words[: last + 1], at)})
    elif words[at].has_hole and not has_value:
        found[at] = refused(f"would be an option of {words[at - 1].prefix}; write the option out")
    return last


def _whole(words: Sequence[Word], start: int) -> Verdicts:
    """Judge a program of which no argument is safe."""
    name = program_name(words[start]) or ""
    if words[start].text == "cmd" and not any(word.prefix.startswith("/") for word in words[start + 1 :]):
        return _unknown(words, start)  # no option of the Windows program, so it is another one of that name
    verdict = refused(f"is an argument of {name}, {ALL_ARGUMENTS[name]}; pass the value by a file or by its input")
    return dict.fromkeys(holes(words, start), verdict)


def _powershell(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `pwsh [-File file] [-Command code]`: without -File everything is code."""
    for at in range(start + 1, len(words)):
        option = words[at].prefix.lower().replace("/", "-")
        if len(option) > 1 and "-file".startswith(option):
            is_file = at + 1 < len(words) and words[at + 1].may_be_option
            return (
                {at + 1: refused("would be the file that PowerShell runs; write a folder before it")} if is_file else {}
            )
    return dict.fromkeys(holes(words, start), _in_code_of("PowerShell"))


def _find(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `find ... -exec command ;`."""
    found: Verdicts = {}
    starts = [at for at in range(start + 1, len(words)) if words[at].text in {"-exec", "-execdir", "-ok", "-okdir"}]
    if len(starts) > MAX_DEPTH:
        return dict.fromkeys(holes(words, starts[0]), _TOO_DEEP)
    for at in starts:
        inner = judge(words, at + 1, keeps_env=False, in_find=True)
        found.update(dict.fromkeys(inner, _in_code_of("find -exec")))
    return found


def _git(words: Sequence[Word], start: int) -> Verdicts:
    """Judge `git -c name=value command ...`: settings and options can name programs."""
    found = {
        at: refused("is a setting of git, many of which name programs; put it into the repository's configuration")
        for at in holes(words, start + 1)
        if words[at - 1].text in {"-c", "--config-env"} or words[at].prefix.startswith(("-c", "--config-env"))
        if not words[at].prefix.startswith(("user.name=", "user.email="))
    }
    command = next((word.text for word in words[start + 1 :] if word.text in GIT_TRANSPORT), None)
    return _options(words, start) | (_guarded(words, start) if command else {}) | found


def _options(words: Sequence[Word], start: int) -> Verdicts:
    """Judge options whose argument is a command line, and paths behind a remote host."""
    name = program_name(words[start]) or ""
    options = COMMAND_OPTIONS.get(name, frozenset())
    found: Verdicts = {}
    for at in holes(words, start + 1):
        option = words[at].prefix.partition("=")[0]
        if words[at - 1].text in options or option in options or option[:2] in options:
            found[at] = refused(f"becomes a command that {name} runs; write it out")
        elif name in REMOTE_PATHS and ":" in words[at].prefix:
            found[at] = refused("is a path that the remote shell may read as code; use a fixed path there")
    return found


def _guarded(words: Sequence[Word], start: int) -> Verdicts:
    """Judge a program to which one argument that looks like an option is enough to run a command."""
    name = program_name(words[start]) or ""
    letters = GUARDED.get(name, "")
    end = next((at for at in range(start + 1, len(words)) if words[at].text in {"--", "--end-of-options"}), len(words))
    verdict = refused(f"could be an option of {name} that runs a command; write -- or a folder such as ./ before it")
    return _options(words, start) | {
        at: verdict
        for at in holes(words[:end], start + 1)
        if words[at].may_be_option and not _names_file(words[at - 1].text or "", letters, is_first=at == start + 2)
    }


def _names_file(option: str, letters: str, *, is_first: bool) -> bool:
    """Say whether an option such as `-czf` takes the next word, whatever that looks like."""
    return option[-1:] in {*letters} and not option.startswith("--") and (option.startswith("-") or is_first)


def _prints(words: Sequence[Word], start: int) -> Verdicts:
    """Judge what only prints its arguments."""
    del words, start
    return {}


def _unknown(words: Sequence[Word], start: int) -> Verdicts:
    """Judge a command of which we know nothing: a shell or interpreter may stand among its arguments."""
    found: Verdicts = {}
    name = program_name(words[start])
    inside = holes(words, start + 1)
    is_carrier = name is None or name in CARRIERS
    could_run_code = name is None
    for at in range(start + 1, len(words)):
        before = words[at - 1].text or ""
        if words[at].has_hole:
            if could_run_code and before in CODE_OPTIONS:
                found.setdefault(at, _in_code_of(f"what comes before {before}"))
            continue
        inner = program_name(words[at])
        if inner is None or not runs_code(inner):
            continue
        could_run_code = True
        for key, verdict in judge(words, at, keeps_env=False).items() if is_carrier else ():
            found.setdefault(key, verdict)
        if len(found) == len(inside):
            break
        if not found and _has_known_code(words, at):
            break  # what follows are arguments of that code
    return found


def _has_known_code(words: Sequence[Word], start: int) -> bool:
    """Say whether one of the next words is an option for code, and the code behind it is written out."""
    near = range(start + 1, min(start + 4, len(words) - 1))
    return any(words[at].text in CODE_OPTIONS and words[at + 1].text is not None for at in near)


_BY_NAME: Final[Mapping[str, Callable[[Sequence[Word], int], Verdicts]]] = {
    **dict.fromkeys(ALL_ARGUMENTS, _whole),
    **dict.fromkeys(POWERSHELLS, _powershell),
    **dict.fromkeys(("echo", "printf", "logger", "true", ":"), _prints),
    **dict.fromkeys(COMMAND_OPTIONS, _options),
    **dict.fromkeys(GUARDED, _guarded),
    "git": _git,
}
