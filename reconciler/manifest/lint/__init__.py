"""What the API would refuse (errors), and what is legal and harmful (warnings), found offline: one file a rule.

`lint.allow` turns one off by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import Diagnostic
from reconciler.manifest.lint import (
    branch_filter,
    command_length,
    empty_deploy_command,
    injected_variable,
    one_trigger_per_kind,
    overlapping_triggers,
    plain_credential,
    preview_deploys,
    profile_override,
    root_directory_length,
    secret_on_preview,
    too_many_variables,
    variable_key,
    variable_length,
    watch_path,
)
from reconciler.manifest.lint.finding import Rule, Site
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Problems

RULES: tuple[Rule, ...] = (
    branch_filter,
    one_trigger_per_kind,
    empty_deploy_command,
    command_length,
    root_directory_length,
    variable_key,
    variable_length,
    too_many_variables,
    preview_deploys,
    overlapping_triggers,
    secret_on_preview,
    injected_variable,
    plain_credential,
    watch_path,
    profile_override,
)
COUNTING = (too_many_variables.NAME,)
"""They stand at a trigger, and yet tell what is there: more of it would not mend it."""
NAMES = frozenset(rule.NAME for rule in RULES)


def check(triggers: Sequence[Effective], problems: Problems, *, has_marker: bool) -> None:
    """All rules over the triggers of one Worker. `has_marker`: does our marker take one variable?"""
    for number, trigger in enumerate(triggers):
        before, after = tuple(triggers[:number]), tuple(triggers[number + 1 :])
        site = Site(trigger=trigger, before=before, after=after, has_marker=has_marker)
        for rule in RULES:
            for found in rule.check(site) if rule.NAME not in trigger.allow else ():
                about = f"env/{trigger.worker}/{trigger.key}/{found.variable}"
                problems.found.append(
                    Diagnostic(
                        severity=rule.SEVERITY,
                        summary=found.summary,
                        hint=f"{found.hint}; to insist, `lint: {{allow: [{rule.NAME}]}}`",
                        address=about if found.variable else trigger.address,
                        rule=rule.NAME,
                        position=found.position,
                    )
                )
