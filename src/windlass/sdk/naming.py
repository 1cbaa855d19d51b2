"""What an application is called, and under which name its main program can be imported."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

from windlass.errors import UserError

#: The name of an application, as of a pool.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MOST: Final = 63
_MAIN: Final = "__main__"
#: What is written at a prompt has no name of its own.
_NAMELESS: Final = "main"


def application_name(said: Any, module: str) -> str:
    """Return what an application is called: as `said`, else as the package in which it is, or the script.

    `module` is the one that makes it. Raises UserError where `said` can be no name.
    """
    if said is None:
        package = (_main_program() if module == _MAIN else module).partition(".")[0]
        return re.sub(r"[^a-z0-9_-]", "-", package.lower()).lstrip("_-")[:_MOST] or _NAMELESS
    if not isinstance(said, str) or not _NAME.fullmatch(said):
        raise UserError(
            f"name: {said!r:.80} cannot be the name of an application; "
            "that is 1 to 63 small letters, digits, - or _, the first a letter or digit."
        )
    return said


def importable_name(module: str) -> str:
    """Return the name under which another process finds a module: that of its file where it is the main program."""
    if module != _MAIN:
        return module
    name = _main_program()
    return name if name and all(part.isidentifier() for part in name.split(".")) else _MAIN


def _main_program() -> str:
    """Return the module that runs as the main program, or the name of the script; nothing at a prompt."""
    main = sys.modules.get(_MAIN)
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    if spec is not None:
        return str(spec.name).removesuffix(f".{_MAIN}")
    return "" if file is None or file.startswith("<") else Path(file).stem


def caller_module(depth: int) -> str:
    """Return the name of the module whose code called, `depth` calls above this one."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001 - as `namedtuple` and `warnings` find their callers
    return str(frame.f_globals.get("__name__", _MAIN))
