"""`schema`: the JSON Schemas of what goes in and what comes out, and the API's OpenAPI document."""

from __future__ import annotations

import os
from importlib import resources

import click

from reconciler.cli.options import Globals, argument, global_options
from reconciler.cli.output import data, indented, write_file
from reconciler.errors import Exit


@click.command()
@argument("name", type=click.Choice(["manifest", "plan", "api"]))
@global_options
def schema(settings: Globals, *, name: str) -> int:  # noqa: ARG001 - taken so that they may stand here
    """Print the JSON Schema of a manifest, or of the plan that --format json writes; or the API as an OpenAPI document.

    \b
    Examples:
      buildsctl schema manifest > manifest.schema.json
      buildsctl schema plan
      buildsctl schema api > workers-builds.openapi.yaml

    \b
    Exit codes: 0 printed · 1 error
    """
    if name == "manifest":
        data(_manifest_schema())
    elif name == "api":
        data(resources.files("reconciler.cli").joinpath("workers-builds.openapi.yaml").read_text(encoding="utf-8"))
    else:
        data(resources.files("reconciler.render").joinpath("plan.schema.json").read_text(encoding="utf-8"))
    return Exit.OK


def write_schema(folder: str) -> None:
    """The file that the first line of a manifest of ours names, for editors, unless it is there."""
    from reconciler.export import SCHEMA

    path = os.path.join(folder, SCHEMA)
    if not os.path.exists(path):
        write_file(path, _manifest_schema())


def _manifest_schema() -> str:
    from reconciler.manifest.schema import manifest_schema

    return indented(manifest_schema())
