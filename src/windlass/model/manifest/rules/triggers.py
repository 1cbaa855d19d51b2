"""Rules on what starts runs and who hears of their end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from windlass.model.cron import cron_error
from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.draft import Draft, Findings, Found


def cron_is_valid(draft: Draft) -> Findings:
    """See that a cron trigger's times can be computed, in a zone that exists."""
    for number, trigger in enumerate(draft.canonical.get("triggers", ())):
        if trigger["type"] != "cron":
            continue
        configuration = trigger.get("configuration", {})
        path = ("triggers", number, "configuration")
        if "cron" in configuration:
            wrong = cron_error(configuration["cron"])
            if wrong:
                yield Found((*path, "cron"), wrong)
        zone = configuration.get("timezone")
        if zone is not None and zone not in _zones():
            yield Found((*path, "timezone"), f'unknown time zone "{zone}"{suggestion(zone, _zones())}')


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def parameters_exist(draft: Draft) -> Findings:
    """See that what triggers pass are parameters of the job, and that nothing required is left out."""
    parameters = draft.canonical.get("parameters")
    if parameters is None:
        return
    for number, trigger in enumerate(draft.canonical.get("triggers", ())):
        configuration = trigger.get("configuration", {})
        given: set[str] = set()
        for key in ("defaultParams", "paramMapping"):
            for name in configuration.get(key, ()):
                given.add(name)
                if name not in parameters:
                    near = suggestion(name, parameters)
                    path = ("triggers", number, "configuration", key, name)
                    yield Found(path, f'{key} names an unknown parameter "{name}"{near}', about="key")
        if trigger["type"] in ("cron", "http", "event"):
            yield from _required(parameters, given, number)


def _required(parameters: Mapping[str, Any], given: set[str], number: int) -> Findings:
    """Warn of required parameters that a trigger's runs would lack."""
    for name, schema in parameters.items():
        if schema.get("required") is True and "default" not in schema and name not in given:
            message = f'the trigger passes nothing for the required parameter "{name}"; its runs will be refused'
            yield Found(("triggers", number), message, "warning", "key")


def addresses_are_http(draft: Draft) -> Findings:
    """See that a callback goes to an http address, or to one that a secret holds."""
    for number, callback in enumerate(draft.canonical.get("callbacks", ())):
        url = callback.get("configuration", {}).get("url", "http://")
        if not url.startswith(("http://", "https://", "secret://")):
            yield Found(
                ("callbacks", number, "configuration", "url"),
                f'url must begin with https://, http:// or secret://, not "{url}"',
            )


def replay_protection_is_whole(draft: Draft) -> Findings:
    """See that an age limit has the header that tells the age."""
    for number, trigger in enumerate(draft.canonical.get("triggers", ())):
        configuration = trigger.get("configuration", {})
        if "maxTimestampAge" in configuration and "timestampHeader" not in configuration:
            path = ("triggers", number, "configuration", "maxTimestampAge")
            yield Found(path, "maxTimestampAge needs timestampHeader beside it", about="key")


RULES = (cron_is_valid, parameters_exist, addresses_are_http, replay_protection_is_whole)
