"""Plain values that look like credentials: anybody with read access to the manifests or the API sees them."""

from __future__ import annotations

import re

from reconciler.manifest.lint.finding import WARNING, Finding, Findings, Site

NAME = "plain-credential"
SEVERITY = WARNING
FIELDS = ("environment_variables", "value")
HINTS = ("make it a secret: `value_from: {env: NAME}`",)
MAX_LENGTH = 5_000  # of a value that is searched: the API takes no longer one (field notes, Environment variables)

# By the last words of a name: `AUTH_DOMAIN` and `TOKEN_TTL` say something about a credential, and are none.
_NAME = re.compile(
    r"(?:^|_)(?:(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(?:API|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_?KEY)"
    r"(?:_(?:KEY|BASE|VALUE|SALT|PROD|PRODUCTION|STAGING|DEV|LIVE|TEST))*|AUTH)_?[0-9]*\Z",
    re.IGNORECASE,
)
# What a bundler writes into the code that browsers get; a key of that kind is public.
_PUBLIC = re.compile(r"(?:NEXT_PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC|PUBLIC|VITE|REACT_APP|GATSBY)_")
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY|"
    r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{30,}|xox[abprs]-[\w-]{10,}|"
    r"sk[-_](?:live|test|ant|proj)?[-_]?[A-Za-z0-9_-]{20,}|A(?:KI|SI)A[A-Z0-9]{16}|sntry[su]_[\w=+/-]{20,})|"
    r"^[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@(?!localhost\b|127\.0\.0\.1\b)"
)
_VALUE_UNLESS_PUBLIC = re.compile(r"\b(?:AIza[\w-]{35}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+)")
_HARMLESS = re.compile(
    r"(?:|true|false|yes|no|on|off|none|null|[0-9.]+|https?://[^@\s]*|/[\w./-]*|[x*.-]+|<.*>|"
    r"(?:dummy|example|placeholder|change-?me|your|unused|not)\b.*)\Z",
    re.IGNORECASE | re.DOTALL,
)


def looks_like_credential(name: str, value: str) -> bool:
    """By the shape of the value, or by the name where the value is none of those that tell nothing."""
    searched, public = value[:MAX_LENGTH], _PUBLIC.match(name)
    if _VALUE.search(searched):
        return True
    if public:
        return False
    if _VALUE_UNLESS_PUBLIC.search(searched):
        return True
    return bool(_NAME.search(name)) and not _HARMLESS.match(searched) and len(value) >= 8


def check(site: Site) -> Findings:
    """A secret stands in no manifest and no plan, and the API never tells it again."""
    for name, node in site.trigger.plain.items():
        if looks_like_credential(name, node.value):
            summary = f"the plain value of `{name}` looks like a credential"
            yield Finding(summary, HINTS[0], site.trigger.variables[name].position, variable=name)
