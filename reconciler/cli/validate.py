"""`validate`, `render`, `explain` and `schema`: everything that can be said about manifests without the API."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import click

from reconciler.cli import session
from reconciler.cli.options import Globals, Manifests, argument, format_option, global_options, offline_options, option
from reconciler.cli.output import data, indented, write_file
from reconciler.errors import Diagnostic, Exit, Severity, UsageError, nearest


@click.command(params=[format_option("text", "json", "github", "sarif")])
@offline_options
def validate(settings: Globals, manifests: Manifests, format: str) -> int:  # noqa: A002 - the option's name
    """Check the manifests, offline: schema, references, what the API would refuse and what does harm.

    PATH is a file or a folder; without one, ./buildsctl.yaml, else ./builds/. All problems of all files
    are told at once, each with its place and the way out. No secret's source is asked.

    \b
    Examples:
      buildsctl validate
      buildsctl validate builds/ --param branch=main
      buildsctl validate --format github     # annotations in a pull request
      buildsctl validate --format sarif > problems.sarif

    \b
    Exit codes: 0 no errors (warnings are none) · 1 errors
    """
    from reconciler.render.problems import count_text, problems_text

    try:
        found, _ = session.check(manifests)
    except UsageError as error:
        _report(format, [Diagnostic(severity=Severity.ERROR, summary=str(error), hint=error.hint)])
        raise
    problems = found.problems.sorted()
    failed = any(one.severity is Severity.ERROR for one in problems)
    if format == "text":
        workers, triggers = len(found.workers), len(found.triggers)
        counted = f"{workers} Worker{'s' * (workers != 1)}, {triggers} trigger{'s' * (triggers != 1)}: "
        text = problems_text(problems, whole=settings.verbose)  # what has errors may not have been counted whole
        data(f"{text}{chr(10) if text else ''}{'' if failed else counted}{count_text(problems)}\n")
    _report(format, problems)
    return Exit.ERROR if failed else Exit.OK


def _report(format: str, problems: Sequence[Diagnostic]) -> None:  # noqa: A002 - the option's name
    """For machines: on failure too."""
    if format == "json":
        from reconciler.render import json

        valid = all(one.severity is not Severity.ERROR for one in problems)
        data(json.dump({"valid": valid, "diagnostics": [json.diagnostic(one) for one in problems]}))
    elif format == "github":
        from reconciler.render.github import github_text

        data(github_text(_in_repository(problems)))
    elif format == "sarif":
        from reconciler.manifest import lint
        from reconciler.manifest.lint.finding import rule_texts
        from reconciler.render import json
        from reconciler.render.sarif import sarif_document

        data(json.dump(sarif_document(_in_repository(problems), rule_texts(lint.RULES))))


def _in_repository(problems: Sequence[Diagnostic]) -> list[Diagnostic]:
    """With files as GitHub looks for them: from the top of its checkout, wherever the command runs, else from here."""
    starts = [os.path.abspath(one) for one in (os.environ.get("GITHUB_WORKSPACE"), ".") if one]

    def named(filename: str) -> str:
        whole = os.path.abspath(filename)
        inside = (one for one in starts if whole.startswith(one.rstrip(os.sep) + os.sep))
        start = next(inside, None)
        return os.path.relpath(whole, start) if start else filename

    return [
        replace(one, position=one.position._replace(filename=named(one.position.filename)))
        if one.position and one.position.line
        else one
        for one in problems
    ]


@click.command(params=[option("--worker WORKER", "Show this Worker only.", multiple=True)])
@offline_options
def render(settings: Globals, manifests: Manifests, worker: tuple[str, ...]) -> int:  # noqa: ARG001 - an option
    """Show the effective manifest, offline: all layers merged, each line with where it came from.

    The result is a manifest that means the same. Secrets stay what they are in the manifests: the place
    where their value comes from.

    \b
    Examples:
      buildsctl render
      buildsctl render --worker web --param branch=main

    \b
    Exit codes: 0 shown · 1 error
    """
    from reconciler.render.manifest import manifest_text

    found, _ = session.check(manifests)
    found.problems.raise_errors()
    for name in worker:
        if name not in found.workers:
            hint = nearest(name, found.workers) or "`buildsctl render` shows all of them"
            raise UsageError(f"the manifests declare no Worker `{name}`", hint=hint)
    data(manifest_text(found, only=worker))
    return Exit.OK


@click.command()
@argument("name", required=False, metavar="[FIELD|RULE]")
@global_options
def explain(settings: Globals, *, name: str | None) -> int:  # noqa: ARG001 - taken so that they may stand here
    """Say what a field of a manifest is, or what a lint rule is about. Offline.

    Of a field: where it may stand, its type, default and limits, examples, the section of the API
    reference, and the lint rules that look at it, with the error of the API that each prevents. Of a
    rule: what it finds, what comes of it, the ways out, and how to turn it off. Without a name, all names.

    \b
    Examples:
      buildsctl explain
      buildsctl explain branch_includes
      buildsctl explain preview-deploys

    \b
    Exit codes: 0 told · 1 error, or there is no such name
    """
    from reconciler.manifest import lint
    from reconciler.manifest.fields import fields
    from reconciler.manifest.lint.finding import rule_texts
    from reconciler.manifest.schema import ALIASES
    from reconciler.render.explain import field_text, overview_text, rule_text

    every, rules = fields(), rule_texts(lint.RULES)
    if name is None:
        data(overview_text(every, rules))
        return Exit.OK
    told = [rule_text(one) for one in rules if one.name == name]
    told += [field_text(one, rules) for one in every if one.name == name]
    if not told:
        known = [*(one.name for one in every), *(one.name for one in rules)]
        close = f"did you mean `{ALIASES[name]}`?" if name in ALIASES else nearest(name, known)
        hint = close or "`buildsctl explain` lists them all"
        raise UsageError(f"there is no field and no lint rule `{name}`", hint=hint)
    data("\n".join(told))
    return Exit.OK


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
    from importlib import resources

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
