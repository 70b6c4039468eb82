"""`validate` and `render`: everything that can be said about manifests without the API."""

from __future__ import annotations

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Setting, global_options, manifest_options
from reconciler.cli.output import data
from reconciler.errors import Exit, Severity

OFFLINE = "is not asked offline"


@click.command()
@manifest_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    cls=Setting,
    envvar="BUILDSCTL_FORMAT",
    help="How to report.",
)
@global_options
def validate(
    settings: Globals,  # noqa: ARG001 - taken so that global options may stand behind the name
    *,
    paths: tuple[str, ...],
    param: tuple[tuple[str, str], ...],
    param_file: tuple[str, ...],
    allow_commands: bool,
    no_secrets: bool,  # noqa: ARG001 - no source is asked anyway
    format_: str,
) -> int:
    """Check the manifests, offline: schema, references and what the API would refuse.

    PATH is a file or a folder; without one, ./buildsctl.yaml, else ./builds/. All problems of all files
    are told at once, each with its place and the way out. No secret's source is asked.

    \b
    Examples:
      buildsctl validate
      buildsctl validate builds/ --param branch=main
      buildsctl validate --format json

    \b
    Exit codes: 0 no errors (warnings are none) · 1 errors
    """
    from reconciler import manifest  # noqa: PLC0415 - late: `--help` reads no manifest
    from reconciler.manifest import desired  # noqa: PLC0415 - as above

    found = manifest.read(paths, given=param, param_files=param_file)
    desired.assemble(found, session.resolver(allow_commands=allow_commands, skip=OFFLINE))
    problems = found.problems.sorted()
    failed = any(one.severity is Severity.ERROR for one in problems)
    if format_ == "json":
        from reconciler.render import json  # noqa: PLC0415 - only where it is asked for

        document = {"valid": not failed, "diagnostics": [json.diagnostic(one) for one in problems]}
        data(json.dump(document))
    else:
        from reconciler.render.problems import count_text, problems_text  # noqa: PLC0415 - as above

        text = problems_text(problems)
        counted = f"{len(found.workers)} Workers, {len(found.triggers)} triggers: {count_text(problems)}\n"
        data(f"{text}\n{counted}" if text else counted)
    return Exit.ERROR if failed else Exit.OK


@click.command()
@manifest_options
@click.option("--worker", cls=Setting, metavar="NAME", help="Show this Worker only.")
@global_options
def render(
    settings: Globals,  # noqa: ARG001 - taken so that global options may stand behind the name
    *,
    paths: tuple[str, ...],
    param: tuple[tuple[str, str], ...],
    param_file: tuple[str, ...],
    allow_commands: bool,
    no_secrets: bool,  # noqa: ARG001 - no source is asked anyway
    worker: str | None,
) -> int:
    """Show the effective manifest, offline: all layers merged, each line with where it came from.

    The result is a manifest that means the same. Secrets stay what they are in the manifests: the place
    where their value comes from.

    \b
    Examples:
      buildsctl render
      buildsctl render --worker web --param branch=main
    """
    from reconciler import manifest  # noqa: PLC0415 - late: `--help` reads no manifest
    from reconciler.errors import UsageError  # noqa: PLC0415 - as above
    from reconciler.manifest import desired, nodes  # noqa: PLC0415 - as above
    from reconciler.render.manifest import manifest_text  # noqa: PLC0415 - as above

    found = manifest.read(paths, given=param, param_files=param_file)
    desired.assemble(found, session.resolver(allow_commands=allow_commands, skip=OFFLINE))
    found.problems.raise_errors()
    if worker is not None and worker not in found.workers:
        hint = nodes.nearest(worker, found.workers) or "`buildsctl render` shows all of them"
        raise UsageError(f"the manifests declare no Worker `{worker}`", hint=hint)
    data(manifest_text(found, worker=worker))
    return Exit.OK
