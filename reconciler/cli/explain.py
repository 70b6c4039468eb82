"""`explain`: a field of the manifest, or a lint rule."""

from __future__ import annotations

import click

from reconciler.cli.options import Globals, argument, global_options
from reconciler.cli.output import data
from reconciler.errors import Exit, UsageError


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
    from reconciler.manifest.nodes import nearest
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
