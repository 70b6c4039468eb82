"""`schema`: the JSON Schemas of what goes in and what comes out."""

from __future__ import annotations

import json
from importlib import resources

import click

from reconciler.cli.options import Globals, argument, global_options
from reconciler.cli.output import data
from reconciler.errors import Exit


@click.command()
@argument("name", type=click.Choice(["manifest", "plan"]))
@global_options
def schema(settings: Globals, *, name: str) -> int:  # noqa: ARG001 - taken so that they may stand here
    """Print the JSON Schema of a manifest, or of the plan that --format json writes.

    \b
    Examples:
      buildsctl schema manifest > manifest.schema.json
      buildsctl schema plan

    \b
    Exit codes: 0 printed · 1 error
    """
    if name == "manifest":
        from reconciler.manifest.schema import manifest_schema

        data(json.dumps(manifest_schema(), indent=2) + "\n")
    else:
        data(resources.files("reconciler.render").joinpath("plan.schema.json").read_text(encoding="utf-8"))
    return Exit.OK
