"""Whom a step runs as: users of this machine by name or number."""

from __future__ import annotations

import pwd

#: The highest number means "leave as it is" to the kernel, hence no user has it.
_NOBODY = 2**32 - 1
_MOST_DIGITS = 10


class User:
    """A user by numbers; `name` is None for a number that stands in no list of users."""

    __slots__ = ("gid", "name", "uid")

    def __init__(self, uid: int, gid: int, name: str | None) -> None:
        """Keep what a process becomes."""
        self.uid = uid
        self.gid = gid
        self.name = name


def find_user(text: str) -> User | None:
    """Return the user with a name, or with a number of ASCII digits; None where there cannot be such a user.

    A number without a name is a user as well, with the group of the same number.
    """
    number = _number(text)
    try:
        if number is None:
            entry = pwd.getpwnam(text)
        elif 0 <= number < _NOBODY:
            entry = pwd.getpwuid(number)
        else:
            return None
    except KeyError:
        return None if number is None else User(number, number, None)
    except ValueError:  # a NUL, or what is no text of this system
        return None
    return User(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else _NOBODY
