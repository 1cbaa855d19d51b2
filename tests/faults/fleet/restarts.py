"""A script that restarts something again and again."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

Way = TypeVar("Way", bound=str)
Way_contra = TypeVar("Way_contra", contravariant=True)


class Mortal(Protocol[Way_contra]):
    """What ends in several ways and can be started again."""

    def restart(self, how: Way_contra, *, down: float = 0.0) -> None:
        """End it in some way, and start it again after `down` seconds."""


class Restarts(Generic[Way]):
    """Restarts something again and again on a thread of its own, as its seed says; a context manager."""

    def __init__(
        self,
        mortal: Mortal[Way],
        ways: Sequence[Way],
        *,
        seed: int,
        up: tuple[float, float],
        down: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Prepare: it stays up and down for some seconds, from the least to the most of each.

        It ends in all of `ways`, in an order that changes, before it does so again in any.
        """
        self._mortal = mortal
        self._dice = random.Random(seed)  # noqa: S311 - restarts that come again
        self._up, self._down, self._ways = up, down, ways
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="restarts")
        self._trouble: BaseException | None = None
        #: Set while it runs.
        self.up = threading.Event()
        self.up.set()
        #: How it ended, each time.
        self.done: list[Way] = []

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it running. Fails where a restart has failed."""
        self._over.set()
        self._thread.join(180)
        if self._trouble is not None:
            raise self._trouble

    def _work(self) -> None:
        left: list[Way] = []
        try:
            while not self._over.wait(self._dice.uniform(*self._up)):
                how = (left := left or self._dice.sample(self._ways, len(self._ways))).pop()
                self.up.clear()
                self._mortal.restart(how, down=self._dice.uniform(*self._down))
                self.up.set()
                self.done.append(how)
        except BaseException as error:  # noqa: BLE001 - told at the end, to whoever waits for it
            self._trouble = error
