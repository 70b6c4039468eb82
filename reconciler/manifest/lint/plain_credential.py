"""Plain values that look like credentials: anybody with read access to the manifests or the API sees them."""

from __future__ import annotations

import re

from reconciler.errors import Severity
from reconciler.manifest.lint.finding import Finding, Findings, Site

NAME = "plain-credential"
SEVERITY = Severity.WARNING

_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|AUTH)(?:_|$|[0-9])",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|"
    r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{30,}|xox[abprs]-[\w-]{10,}|"
    r"sk[-_](?:live|test|ant|proj)?[-_]?[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{16}|AIza[\w-]{35}|"
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)|"
    r"^[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@"
)
_HARMLESS = re.compile(r"(?:|true|false|yes|no|on|off|none|null|[0-9.]+|https?://[^@\s]*|/[\w./-]*)\Z", re.IGNORECASE)


def looks_like_credential(name: str, value: str) -> bool:
    """By the shape of the value, or by the name where the value is none of those that tell nothing."""
    if _VALUE.search(value):
        return True
    return bool(_NAME.search(name)) and not _HARMLESS.match(value) and len(value) >= 8


def check(site: Site) -> Findings:
    for name, node in site.trigger.variables.items():
        plain = node.get("value") if node.mapping else node
        if plain and isinstance(plain.value, str) and looks_like_credential(name, plain.value):
            yield Finding(
                f"the plain value of `{name}` looks like a credential",
                "make it a secret: `value_from: {env: NAME}`",
                node.position,
                variable=name,
            )
