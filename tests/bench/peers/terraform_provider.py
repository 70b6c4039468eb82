"""Triggers as Terraform resources, each with its variables, by a provider written in Python."""

from __future__ import annotations

import json
import sys

import reads
from tf import runner, schema, types


class Trigger:
    def __init__(self, provider) -> None:
        pass

    @classmethod
    def get_name(cls) -> str:
        return "trigger"

    @classmethod
    def get_schema(cls) -> schema.Schema:
        names = ("id", "tag", "settings", "variables")
        return schema.Schema(attributes=[schema.Attribute(name, types.String(), required=True) for name in names])

    def read(self, ctx, current: dict) -> dict | None:
        found = next((one for one in reads.triggers(current["tag"]) if one["trigger_uuid"] == current["id"]), None)
        return found and state(current["tag"], found, reads.variables(current["id"]))

    def validate(self, diags, type_name, config) -> None:
        pass

    def plan(self, ctx, current, planned):
        return planned

    def upgrade(self, ctx, version, old):
        return old

    def create(self, ctx, planned):
        raise NotImplementedError

    update = delete = create


def state(tag: str, trigger: dict, variables: dict) -> dict[str, str]:
    """The attributes of one resource."""
    values = json.dumps(reads.values(variables), sort_keys=True)
    return {"id": trigger["trigger_uuid"], "tag": tag, "settings": reads.settings(trigger), "variables": values}


class Provider:
    def get_model_prefix(self) -> str:
        return "builds_"

    def get_provider_schema(self, diags) -> schema.Schema:
        return schema.Schema()

    def full_name(self) -> str:
        return "bench.test/bench/builds"

    def validate_config(self, diags, config) -> None:
        pass

    configure_provider = validate_config

    def get_data_sources(self) -> list:
        return []

    get_functions = get_data_sources

    def get_resources(self) -> list:
        return [Trigger]

    def new_resource(self, kind):
        return kind(self)


if __name__ == "__main__":
    runner.run_provider(Provider(), sys.argv)
