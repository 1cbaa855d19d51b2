"""Turns a step's values, as written, into nodes that give them rendered, and collects what lint has to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression
from windlass.model.finding import Level, Within
from windlass.model.injection.argv import chosen_from_outside, judge_arguments, words_of
from windlass.model.injection.commands import own_language
from windlass.model.injection.nodes import Carried, Constant, Items, Node, Object, Secret, Text, Typed
from windlass.model.injection.powershell import compile_powershell
from windlass.model.injection.programs import POSIX_SHELLS, POWERSHELLS
from windlass.model.injection.sh import Complaint, compile_script
from windlass.model.injection.variables import NAME, OURS, may_not_be_set
from windlass.model.injection.words import SCRIPT, Word
from windlass.model.steptype import Place
from windlass.model.template import OPENING, Hole, Piece, UnreadableText, as_text, split

Spot = tuple[str | int, ...]
T = TypeVar("T")

#: A text that begins so, and is nothing else, is resolved by the worker.
SCHEME: Final = "secret://"
_PREFIX: Final = "WINDLASS_EXPR_"


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about a place of a step."""

    path: Spot
    level: Level
    message: str
    #: Where in the text at `path`, where that is known.
    within: Within | None = None


class Compiler:
    """Compiles the values of one step and collects what it finds on the way."""

    def __init__(self, places: Mapping[str, Place], config: Mapping[str, Any]) -> None:
        """Compile by `places`, the places of the config's fields by dotted path."""
        self._places = {tuple(pattern.split(".")): place for pattern, place in places.items()}
        self._config = config
        self._names: dict[str, str] = {}
        #: The expression that each variable of a script carries, as one writes it.
        self.carriers: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.expressions: list[tuple[Spot, Expression, Within | None]] = []
        self.secrets: list[str] = []

    def config(self) -> Node:
        """Return the whole config, compiled."""
        for pattern, place in self._places.items():
            variables = self._config.get(pattern[0]) if place == "env" else None
            if isinstance(variables, Mapping):
                self._check_names(variables, ("config", pattern[0]))
        return self.value(self._config, ("config",))

    def env(self, env: Mapping[str, Any], path: Spot) -> Node:
        """Return a map of environment variables, compiled: it renders to texts."""
        self._check_names(env, path)
        items = tuple((name, self._variable(name, value, (*path, name))) for name, value in env.items())
        if all(isinstance(node, Constant) for _, node in items):
            return Constant({name: node.value for name, node in items if isinstance(node, Constant)})
        return Object(items)

    def note(self, path: Spot, expression: Expression, within: Within | None = None) -> None:
        """Remember an expression and where it stands."""
        self.expressions.append((path, expression, within))
        if expression.is_raw:
            self.warn(path, f"{expression} pastes text that can be read as code; make sure of who chooses it", within)

    def error(self, path: Spot, message: str, within: Within | None = None) -> None:
        """Add an error."""
        self.problems.append(Problem(path, "error", message, within))

    def warn(self, path: Spot, message: str, within: Within | None = None) -> None:
        """Add a warning."""
        self.problems.append(Problem(path, "warning", message, within))

    def guard(self, path: Spot, work: Callable[[], T]) -> T | None:
        """Return what `work` gives; an ExpressionError becomes an error at `path`, and None is returned."""
        try:
            return work()
        except ExpressionError as error:
            self.error(path, str(error), error.within if isinstance(error, UnreadableText) else None)
            return None

    def value(self, value: Any, path: Spot) -> Node:
        """Return any value of the config, compiled by the place that its path has."""
        if not has_marks(value):
            return self._variable(str(path[-1]), value, path) if self._place(path) == "env" else Constant(value)
        if isinstance(value, Mapping):
            return Object(tuple((key, self.value(item, (*path, key))) for key, item in value.items()))
        if isinstance(value, list | tuple):
            if "argv" in {self._place((*path, 0)), self._place(path)}:
                return self._argv(value, path)
            return Items(tuple(self.value(item, (*path, index)) for index, item in enumerate(value)))
        if OPENING not in value:
            return self._secret(value)
        return self._text(value, path)

    def _text(self, value: str, path: Spot) -> Node:
        """Return a text with expressions, compiled."""
        place = self._place(path)
        if place == "env":
            return self._variable(str(path[-1]), value, path)
        if place is None and self._place((*path, 0)) == "argv":
            place = "argv"
        pieces = self._pieces(value, path)
        if place == "argv":
            self.error(path, "expressions stand in the items of a list here; write the command as a list")
        elif path[1:2] == ("shell",) and {"sh", "powershell"} & {*self._places.values()}:
            self.error(path, "the shell that reads a script cannot be an expression")
        elif place in {"sh", "powershell", "cmd"}:
            return self._script(pieces, path, place)
        elif len(pieces) == 1 and isinstance(pieces[0], Hole):
            return Typed(pieces[0])
        return Text(pieces)

    def _place(self, path: Spot) -> Place | None:
        """Return the place of a config path, None for text."""
        keys = path[1:]
        for pattern, place in self._places.items():
            if len(pattern) == len(keys) and all(part in ("*", key) for part, key in zip(pattern, keys, strict=True)):
                return None if place == "text" else place
        return None

    def _pieces(self, text: str, path: Spot) -> tuple[Piece, ...]:
        """Return the pieces of `text` and note its expressions; none where it is wrong."""
        pieces = self.guard(path, lambda: split(text)) or ()
        for piece in pieces:
            if isinstance(piece, Hole):
                self.note(path, piece.expression, piece.within)
        return pieces

    def _secret(self, reference: str, *, is_carried: bool = False) -> Secret:
        self.secrets.append(reference)
        return Secret(reference, is_carried)

    def _check_names(self, variables: Mapping[str, Any], path: Spot) -> None:
        """Refuse names that no variable can have, and those that Windlass sets."""
        for name in variables:
            if not NAME.match(name):
                self.error((*path, name), f'"{name}" cannot be the name of a variable: letters, digits and _ only')
            elif name.startswith(OURS):
                begin = " or ".join(OURS)
                self.error((*path, name), f"{name}: names that begin with {begin} are set by Windlass; choose another")

    def _variable(self, name: str, value: Any, path: Spot) -> Node:
        """Return the value of an environment variable, compiled."""
        if not has_marks(value):
            text = self.guard(path, lambda: as_text(value))
            return Constant("" if text is None else text)
        if not isinstance(value, str):
            self.error(path, "an expression in a variable stands in a text; write the whole value as one string")
            return Constant("")
        if OPENING not in value:
            return self._secret(value, is_carried=True)
        pieces = self._pieces(value, path)
        outside = any(isinstance(piece, Hole) and not piece.expression.is_raw for piece in pieces)
        if outside and (reason := may_not_be_set(name)) and not name.startswith(OURS):
            self.error(path, f"is the value of {reason}")
        return Carried(pieces)

    def _argv(self, items: list[Any] | tuple[Any, ...], path: Spot) -> Node:
        """Return a list of arguments, compiled."""
        pieces = [
            self._pieces(item, (*path, index)) if isinstance(item, str) and OPENING in item else item
            for index, item in enumerate(items)
        ]
        words = words_of(pieces)
        verdicts = self.guard(path, lambda: judge_arguments(words))
        if verdicts is None:
            return Constant(list(items))
        nodes: list[Node] = []
        for index, item in enumerate(pieces):
            at = (*path, index)
            if not isinstance(item, tuple):
                is_secret = isinstance(item, str) and item.startswith(SCHEME)
                nodes.append(self._secret(item, is_carried=True) if is_secret else Constant(item))
            elif (verdict := verdicts.get(index)) is SCRIPT:
                nodes.append(self._script(item, at, "sh", self._shell_before(words, index)))
            else:
                for hole in item if verdict else ():
                    if isinstance(hole, Hole) and not hole.expression.is_raw and verdict:
                        self.error(at, f"{hole.expression} {verdict.reason}", hole.within)
                nodes.append(Carried(item))
        if isinstance(pieces[0], tuple) and chosen_from_outside(pieces[0]):
            self.warn((*path, 0), "the program itself is chosen by an expression; make sure of who chooses it")
        for index, language in own_language(words).items():
            self.warn((*path, index), f"the value becomes part of {language}, which is not quoted")
        return Items(tuple(nodes))

    @staticmethod
    def _shell_before(words: list[Word], index: int) -> str:
        """Return the name of the shell that reads the script at `index`."""
        names = [(word.text or "").rpartition("/")[2] for word in words[:index]]
        return next((name for name in reversed(names) if name in POSIX_SHELLS), "sh")

    def _script(self, pieces: tuple[Piece, ...], path: Spot, place: Place, shell: str | None = None) -> Node:
        """Return a script, compiled by the shell that reads it."""
        shell = shell or self._shell(place)
        nothing = Constant("".join(piece for piece in pieces if isinstance(piece, str)))
        if shell in {"cmd", "cmd.exe"}:
            for piece in pieces:
                if isinstance(piece, Hole) and not piece.expression.is_raw:
                    said = f"{_where(piece)} cmd has no safe quotes; use a list of arguments, or `env`"
                    self.error(path, said, piece.within)
            return Text(pieces)
        compiled: tuple[Node | None, list[Complaint]] | None
        if shell in POWERSHELLS:
            compiled = self.guard(path, lambda: compile_powershell(pieces, self._name))
        elif shell in POSIX_SHELLS:
            compiled = self.guard(path, lambda: compile_script(pieces, shell, self._name))
        else:
            self.error(path, f"a script for {shell} takes no expressions; pass the values by `env`")
            return nothing
        node, complaints = compiled or (None, [])
        for complaint in complaints:
            self._complain(path, complaint)
        return node or nothing

    def _complain(self, path: Spot, complaint: Complaint) -> None:
        say = self.error if complaint.is_error else self.warn
        say(path, f"{_where(complaint.hole)} {complaint.message}", complaint.hole.within)

    def _shell(self, place: Place) -> str:
        """Return the name of the shell that reads the scripts of this step."""
        chosen = self._config.get("shell")
        if isinstance(chosen, list | tuple):
            words = [str(word) for word in chosen]
        else:
            words = str(chosen).split() if chosen else []
        names = [word.replace("\\", "/").rpartition("/")[2].removesuffix(".exe") for word in words]
        if names[:1] in (["env"], ["busybox"]) and len(names) > 1 and not names[1].startswith("-"):
            names = names[1:]
        return names[0] if names else place

    def _name(self, hole: Hole) -> str:
        """Return the variable that carries an expression; equal expressions share one."""
        name = self._names.setdefault(hole.expression.text, f"{_PREFIX}{len(self._names) + 1}")
        self.carriers[name] = str(hole.expression)
        return name


def has_marks(value: Any) -> bool:
    """Say whether anything in `value` has to be rendered."""
    if isinstance(value, str):
        return OPENING in value or value.startswith(SCHEME)
    if isinstance(value, Mapping):
        return any(has_marks(item) for item in value.values())
    return isinstance(value, list | tuple) and any(has_marks(item) for item in value)


def _where(hole: Hole) -> str:
    """Return the beginning of a sentence about an expression in a script."""
    return f"line {hole.line}: {hole.expression}"
