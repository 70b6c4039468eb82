"""At most one production and one preview trigger a Worker."""

from __future__ import annotations

from reconciler.manifest.lint.finding import ERROR, Finding, Findings, Site

NAME = "one-trigger-per-kind"
SEVERITY = ERROR
FIELDS = ("triggers", "branch_includes")
HINTS = ("with `*` among its `branch_includes` it is a preview trigger; keep one of each kind",)


def check(site: Site) -> Findings:
    """A second one is 409 / 12042, a third 400 / 12030 (field notes, Error codes)."""
    if "branch_includes" not in site.trigger.fields:
        return  # told already
    preview = site.trigger.is_preview
    same = (one for one in site.before if "branch_includes" in one.fields)
    first = next((one for one in same if one.is_preview == preview), None)
    if first:
        summary = f"a second {'preview' if preview else 'production'} trigger beside `{first.key}` (409 / 12042)"
        yield Finding(summary, HINTS[0], site.trigger.position)
