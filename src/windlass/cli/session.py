"""What one call of the command line carries from its options to its command."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from windlass.cli.output import Output

if TYPE_CHECKING:
    from windlass.cli.program import Program
    from windlass.client.client import Client
    from windlass.settings import Loaded, Settings
    from windlass.store.place import SchemaUse


class Session:
    """The program, the output and the settings of one call."""

    def __init__(self, program: Program, output: Output) -> None:
        """Begin with no options given."""
        self.program = program
        self.out = output
        #: Settings given as options of this call, by name.
        self.flags: dict[str, str] = {}
        #: `--project`, which for lists may be `*`.
        self.project_option: str | None = None

    @cached_property
    def loaded(self) -> Loaded:
        """The settings with their sources; raises UserError where any is wrong."""
        from windlass.settings import load_settings  # noqa: PLC0415 - `--version` needs none

        return load_settings(os.environ, self.flags)

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings

    @property
    def project(self) -> str:
        """The project that the call is about; `*` is all of them."""
        return self.project_option or self.settings.project

    def connect(self, schema: SchemaUse = "sufficient") -> AbstractContextManager[Client]:
        """Reach the store; see `Program.connect`."""
        return self.program.connect(self.settings, schema=schema)
