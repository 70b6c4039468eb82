"""Workers as octoDNS zones: a TXT record for each trigger and each variable."""

from __future__ import annotations

import logging

import reads
from octodns.provider.base import BaseProvider
from octodns.record import Record


def records(trigger: dict, variables: dict) -> dict[str, dict]:
    """By record name, as octoDNS's YAML has them."""
    key = trigger["trigger_name"]
    texts = {key: reads.settings(trigger)}
    texts |= {f"{name.lower()}.{key}": value for name, value in reads.values(variables).items()}
    return {name: {"type": "TXT", "ttl": 300, "value": text.replace(";", "\\;")} for name, text in texts.items()}


class Builds(BaseProvider):
    SUPPORTS_GEO = SUPPORTS_DYNAMIC = SUPPORTS_ROOT_NS = False
    SUPPORTS = {"TXT"}  # noqa: RUF012 - the library's name

    def __init__(self, id: str, **more) -> None:  # noqa: A002 - the library's name
        self.log = logging.getLogger(id)
        super().__init__(id, **more)
        self.tags = {one["id"]: one["tag"] for one in reads.get("/workers/scripts")}

    def populate(self, zone, target=False, lenient=False) -> bool:
        for trigger in reads.triggers(self.tags[zone.name.partition(".")[0]]):
            found = reads.variables(trigger["trigger_uuid"])
            for name, data in records(trigger, found).items():
                zone.add_record(Record.new(zone, name, data, source=self, lenient=lenient), lenient=lenient)
        return True

    def _apply(self, plan) -> None:
        raise NotImplementedError
