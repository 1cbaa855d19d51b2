"""The parameters of a run as options give them: one by one, from files, and as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from windlass.cli.manifest_files import read_text
from windlass.cli.options import FILE
from windlass.errors import InvalidDocument, UserError
from windlass.model.pairs import pairs

Function = TypeVar("Function", bound=Callable[..., Any])

_FILE: Final = "@"


def parameter_options(function: Function) -> Function:
    """Give a command `param` and `params`; `parameters_of` makes of them what a request says."""
    several = click.option(
        "--params",
        multiple=True,
        type=FILE,
        metavar="FILE",
        help="Parameters from a YAML or JSON file, - for stdin.",
    )
    one = click.option(
        "-p",
        "--param",
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter; NAME=@FILE takes the text of a file, NAME=@@x is the text @x. May be given several times.",
    )
    return one(several(function))


def parameters_of(param: Sequence[str], params: Sequence[str]) -> dict[str, Any]:
    """Return `parameters` and `parameterTexts` of a request; of the same name the later file counts, and `-p` most.

    Raises UserError where one is given wrongly or a file cannot be read, InvalidDocument with all that is wrong in it.
    """
    texts = {name: _text(value) for name, value in pairs(param, "parameter").items()}
    values: dict[str, Any] = {}
    for file in params:
        values |= _values(file)
    values = {name: value for name, value in values.items() if name not in texts}
    return {"parameterTexts": texts} | ({"parameters": values} if values else {})


def _text(value: str) -> str:
    if value.startswith(_FILE * 2):
        return value[1:]
    return read_text(value[1:]) if value.startswith(_FILE) else value


def _values(file: str) -> dict[str, Any]:
    """Return the mapping that a file holds, read by the rules of manifests."""
    from windlass.model.finding import Finding, Position  # noqa: PLC0415 - few runs take a file
    from windlass.model.manifest.events import parse  # noqa: PLC0415 - the same
    from windlass.model.manifest.limits import Limits  # noqa: PLC0415 - the same
    from windlass.model.printable import printable  # noqa: PLC0415 - the same

    parsed = parse(read_text(file).removeprefix("\ufeff"), Limits())
    name = printable(file)
    if parsed.problems:
        raise InvalidDocument(
            [Finding("error", one.message, Position(name, *(one.mark or (1, 1))), one.path) for one in parsed.problems]
        )
    if len(parsed.documents) != 1 or not isinstance(parsed.documents[0], dict):
        raise UserError(f"{name}: a file of parameters is one mapping of names and values.")
    return dict(parsed.documents[0])
