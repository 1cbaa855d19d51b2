"""Cron expressions: five fields, or six that begin with seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_LONGEST = 256
_FIELDS = (5, 6)
#: Where checking begins to look for a first time; any instant does.
_START = datetime(2024, 1, 1, tzinfo=UTC)


def cron_error(text: str) -> str | None:
    """Return one sentence on what is wrong with a cron expression, or None."""
    fields = text.split()
    if len(text) > _LONGEST or len(fields) not in _FIELDS:
        return f'cron must have five fields, or six that begin with seconds, not "{text[:40]}"'
    try:
        next(CronSim(text, _START))
    except CronSimError as error:
        return f'"{text}" is no cron expression: {str(error).lower() or "it cannot be read"}'
    except StopIteration:
        return f'"{text}" never comes: no date matches it'
    return None
