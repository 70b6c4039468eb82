"""What the API would refuse, found offline: one file a rule. `lint.allow` turns one off by its name."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.manifest.lint import (
    branch_filter,
    command_length,
    empty_deploy_command,
    one_trigger_per_kind,
    root_directory_length,
    too_many_variables,
    variable_key,
    variable_length,
)
from reconciler.manifest.merge import Effective
from reconciler.manifest.nodes import Problems

RULES = (
    branch_filter,
    one_trigger_per_kind,
    empty_deploy_command,
    command_length,
    root_directory_length,
    variable_key,
    variable_length,
    too_many_variables,
)
NAMES = frozenset(rule.NAME for rule in RULES)


def check(triggers: Sequence[Effective], problems: Problems, *, has_marker: bool) -> None:
    """All rules over the triggers of one Worker. `has_marker`: does our marker take one variable?"""
    for rule in RULES:
        for finding in rule.check(triggers, has_marker=has_marker):
            if rule.NAME not in finding.trigger.allow:
                problems.add(
                    rule.SEVERITY,
                    finding.summary,
                    at=finding.position,
                    hint=f"{finding.hint}; to insist, `lint: {{allow: [{rule.NAME}]}}`",
                    address=finding.address,
                    rule=rule.NAME,
                )
