"""The fields of triggers and callbacks."""

from __future__ import annotations

import re
from typing import Any

from windlass.model.manifest.kinds import INVALID, Choice, Kind, Listing, MapOf, Schema, Text, label
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.record import Field, Record, RecordBearer
from windlass.model.manifest.words import DURATION, FINAL_STATE, LABELS, MAPPING, TEXT, VALUES

_HOOK = re.compile(r"^/*(?:v1/)?(?:hooks/)?")


class CatchUp(Kind):
    """What becomes of the times that were missed."""

    words = "none, latest or all"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the word; true is `all`, false is `none`."""
        if type(value) is bool:
            return "all" if value else "none"
        return value if value in ("none", "latest", "all") else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of catchup."""
        return {"enum": ["none", "latest", "all", True, False]}


class HookPath(Kind):
    """The path of a webhook below /hooks/PROJECT/; `/hooks/x` is `x`."""

    words = "a path of letters, digits, ., _, - and / (such as etl)"
    _pattern = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the path without the prefix."""
        if type(value) is not str:
            return self.refuse(value, notes, path)
        short = _HOOK.sub("", value, count=1).rstrip("/")
        if not self._pattern.fullmatch(short) or any(part in (".", "..") for part in short.split("/")):
            notes.error(path, f'{label(path)} must be {self.words}, not "{value}"')
            return INVALID
        return short

    def schema(self) -> Schema:
        """Return the schema of a path."""
        return {"type": "string", "pattern": r"^/*([A-Za-z0-9._~-]+)(/+[A-Za-z0-9._~-]+)*/*$"}


_PARAMETERS = {
    "defaultParams": Field(VALUES, "parameters of each run it starts"),
    "paramMapping": Field(
        MapOf(Text("a path such as $.region", pattern=r"\$(?:\.[^.\[\]\s]+|\[\d+\])*")),
        "parameters taken from what came in, by paths such as $.region",
    ),
}
CRON = Record(
    "the configuration of a cron trigger",
    {
        "cron": Field(TEXT, "five or six fields; six begin with seconds"),
        "expression": Field(TEXT, "as cron", name="cron"),
        "schedule": Field(TEXT, "as cron", name="cron"),
        "timezone": Field(TEXT, "a zone such as Europe/Berlin", default="UTC"),
        "catchup": Field(CatchUp(), "what becomes of missed times", default="latest"),
        "defaultParams": _PARAMETERS["defaultParams"],
    },
    required=("cron",),
)
HTTP = Record(
    "the configuration of an http trigger",
    {
        "path": Field(HookPath(), "the path below /hooks/PROJECT/"),
        "secret": Field(TEXT, "secret:// reference of what signs the calls"),
        "signatureScheme": Field(
            Choice("hmac-sha256", "hmac-sha1", "bearer", "basic"), "how calls are signed", default="hmac-sha256"
        ),
        "signatureHeader": Field(TEXT, "the header that carries the signature"),
        "timestampHeader": Field(TEXT, "the header that carries the time of the call"),
        "maxTimestampAge": Field(DURATION, "how old a call may be"),
        **_PARAMETERS,
    },
    required=("path",),
)
_EVENT = Record(
    "an event",
    {
        "type": Field(TEXT, "a glob on the event's type"),
        "source": Field(TEXT, "where it comes from"),
        "filter": Field(LABELS, "values that it must have, by dotted path"),
    },
    required=("type",),
)
EVENT = Record(
    "the configuration of an event trigger",
    {"events": Field(Listing(_EVENT, least=1), "any of these starts a run"), **_PARAMETERS},
    required=("events",),
)
MANUAL = Record("the configuration of a manual trigger", {"defaultParams": _PARAMETERS["defaultParams"]})
CONFIGURATIONS = {"cron": CRON, "http": HTTP, "event": EVENT, "manual": MANUAL}

_FRESHNESS = "freshness"


class Trigger(RecordBearer):
    """What starts runs; the fields of `configuration` follow from `type`."""

    words = "a mapping with type and configuration"
    record = Record(
        "the trigger",
        {
            "type": Field(Choice(*CONFIGURATIONS, others={_FRESHNESS: _FRESHNESS}), "cron, http, event or manual"),
            "configuration": Field(MAPPING, "what this type of trigger needs"),
            "defaultParams": Field(VALUES, "parameters of each run it starts; also inside of configuration"),
        },
        required=("type",),
    )

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return `{type, configuration}`."""
        trigger = self.record.read(value, notes, path)
        if trigger is INVALID or "type" not in trigger:
            return INVALID
        kind = trigger["type"]
        if kind == _FRESHNESS:
            notes.warning((*path, "type"), "known and not acted on: freshness (a trigger of this type starts nothing)")
            return {"type": kind, **({"configuration": trigger["configuration"]} if "configuration" in trigger else {})}
        record = CONFIGURATIONS[kind]
        if "configuration" not in trigger:
            if record.required:
                notes.error(path, f'missing key "configuration" in the {kind} trigger', "key")
                return INVALID
            configuration = {}
        else:
            configuration = record.read(trigger["configuration"], notes, (*path, "configuration"))
            if configuration is INVALID:
                return INVALID
        if "defaultParams" in trigger:
            inside = configuration.get("defaultParams")
            if inside is not None and inside != trigger["defaultParams"]:
                notes.error(
                    (*path, "defaultParams"), "defaultParams stands beside and inside of configuration; keep one", "key"
                )
            configuration = {**configuration, "defaultParams": trigger["defaultParams"]}
        result = {"type": kind}
        if configuration:
            result["configuration"] = configuration
        return result

    def schema(self) -> Schema:
        """Return the schema: `configuration` by `type`."""
        schema = self.record.schema()
        schema["allOf"] = [
            {
                "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                "then": {
                    "properties": {"configuration": record.schema()},
                    **({"required": ["configuration"]} if record.required else {}),
                },
            }
            for kind, record in CONFIGURATIONS.items()
        ]
        return schema


TRIGGER = Trigger()
CALLBACK = Record(
    "the callback",
    {
        "type": Field(Choice("notification"), "notification"),
        "on": Field(Listing(FINAL_STATE, single=True, unique=True, least=1), "final states; all unless said"),
        "configuration": Field(
            Record(
                "the configuration of a callback",
                {
                    "url": Field(TEXT, "http or https address"),
                    "webhook_url": Field(TEXT, "as url", name="url"),
                    "headers": Field(LABELS, "headers to send"),
                    "user_agent": Field(TEXT, "the User-Agent header"),
                },
                required=("url",),
            ),
            "where to send it",
        ),
    },
    required=("type", "configuration"),
)
