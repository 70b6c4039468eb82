"""`show`: a saved plan in any format, offline."""

from __future__ import annotations

import click

from reconciler.cli.apply import read_plan
from reconciler.cli.options import Globals, argument, format_option, global_options
from reconciler.cli.output import colored, data, say, width
from reconciler.errors import Exit, UsageError


@click.command(params=[format_option("text", "json", "markdown", "html")])
@argument("file", metavar="FILE")
@global_options
def show(settings: Globals, *, file: str, format: str) -> int:  # noqa: A002 - the option's name
    """Show a plan that `plan --out FILE` or `apply --out FILE` saved. Asks nothing.

    One read of the account serves several outputs: save the plan once, then show it as text in the log, as
    Markdown in the pull request and as an HTML page to keep.

    \b
    Examples:
      buildsctl plan --out plan.json
      buildsctl show plan.json --format markdown > comment.md
      buildsctl show plan.json --format html > plan.html

    \b
    Exit codes: 0 shown, whatever the plan holds · 1 error
    """
    from reconciler.render import saved
    from reconciler.render.json import dump
    from reconciler.render.markdown import plan_markdown
    from reconciler.render.text import outcome_text, plan_text, troubles_text

    document = read_plan(file)
    try:
        plan, outcomes = saved.read(document)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise UsageError(f"`{file}` is no plan of this version", hint="`plan --out FILE` writes one") from None
    color = colored(no_color=settings.no_color)
    match format:
        case "json":
            data(dump(document))
        case "markdown":
            data(plan_markdown(plan, outcomes))
        case "html":
            from reconciler.render.html import plan_html

            data(plan_html(plan, outcomes, digest=str(document.get("digest", ""))))
        case _:
            data(plan_text(plan, color=color, whole=settings.verbose, width=width()))
            data("".join(f"{outcome_text(one, color=color)}\n" for one in outcomes or ()))
            say(troubles_text(plan))
    return Exit.OK
