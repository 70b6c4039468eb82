"""From options and environment to manifests read and an API opened."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from reconciler.cli.options import Globals, Manifests, fingerprint_key
from reconciler.cli.output import count_down, has_progress, progress, say, tell
from reconciler.errors import AuthenticationError, UsageError
from reconciler.model import Secret

if TYPE_CHECKING:
    from reconciler.api import Api, Handler
    from reconciler.manifest import ManifestSet
    from reconciler.plan import Options
    from reconciler.sandbox import Sandbox
    from reconciler.states import Desired

BASE_URL = "https://api.cloudflare.com/client/v4"
SANDBOX_FILE = ".buildsctl/sandbox.db"
TOKENS = ("BUILDSCTL_API_TOKEN", "CLOUDFLARE_API_TOKEN")
SANDBOX_ACCOUNT = "5a4db0c5a4db0c5a4db0c5a4db0c5a4d"


def load(manifests: Manifests) -> Desired:
    """What the manifests want, with their secrets asked for unless told not to."""
    from reconciler import manifest

    skip = "is not asked, because of --no-secrets" if manifests.no_secrets else ""
    resolver = manifest.Resolver(os.environ, allow_commands=manifests.allow_commands, skip=skip)
    return manifest.load(manifests.paths, resolver, given=manifests.param, param_files=manifests.param_file)


def narrow(options: Options, manifests: Manifests) -> Options | None:
    """`options` with the key of fingerprints, and with what `--changed-since` comes to as targets; None where nothing
    differs."""
    options = replace(options, key=fingerprint_key())
    if not options.changed_since:
        return options
    from reconciler.manifest.changed import changed_addresses

    if options.prune:
        raise UsageError("--prune and --changed-since exclude each other", hint="--prune looks at the whole account")
    if options.target:
        hint = "each says what to look at: name it, or let the revision say it"
        raise UsageError("--target and --changed-since exclude each other", hint=hint)
    found = changed_addresses(
        manifests.paths, options.changed_since, given=manifests.param, param_files=manifests.param_file
    )
    return replace(options, target=tuple(found)) if found else None


def check(manifests: Manifests) -> tuple[ManifestSet, Desired]:
    """The set with all its problems; no source is asked."""
    from reconciler import manifest

    resolver = manifest.Resolver({}, skip="is not asked offline")
    return manifest.check(manifests.paths, resolver, given=manifests.param, param_files=manifests.param_file)


def names(manifests: Manifests, *, strict: bool) -> Desired:
    """What the manifests, where there are any, call things; no source is asked. Where not all of them have to be
    known, what can be read of broken ones does: they must not hold up who has to act."""
    from reconciler.manifest import files
    from reconciler.states import Desired

    if not manifests.paths and not any(os.path.exists(name) for name in files.DEFAULTS):
        return Desired(owner=None)
    found, wanted = check(manifests)
    if strict:
        found.problems.raise_errors()
    elif found.problems.failed:
        say("warning: the manifests hold errors, so names that they declare may be missed; see `buildsctl validate`\n")
    return wanted


@contextmanager
def open_named(settings: Globals, manifests: Manifests, *, strict: bool = False) -> Iterator[tuple[Api, Desired]]:
    """The API, and what the manifests call things."""
    desired = names(manifests, strict=strict)
    with open_api(settings, account_id(settings, desired.account_id)) as api:
        yield api, desired


def check_account(desired: Desired) -> None:
    """Whoever writes has to know that it is the manifests' account."""
    from reconciler.manifest.desired import UNKNOWN

    if UNKNOWN in (desired.account_id or ""):
        raise UsageError("the manifests' `account_id` needs a param", hint="give it with --param or --param-file")


def account_id(settings: Globals, declared: str | None) -> str:
    """The account, from options, environment and manifests, which must agree. One that waits for a param is not
    said."""
    from reconciler.manifest.desired import UNKNOWN

    given = settings.account_id
    declared = None if UNKNOWN in (declared or "") else declared
    if given and declared and given != declared:
        raise UsageError(
            f"the manifests are for account `{declared}`, the command line or environment says `{given}`",
            hint="unset CLOUDFLARE_ACCOUNT_ID, or take `account_id` out of the manifests",
        )
    found = given or declared or (SANDBOX_ACCOUNT if settings.sandbox else "")
    if not found:
        raise UsageError(
            "no account is named",
            hint="set CLOUDFLARE_ACCOUNT_ID, say --account-id, or write `account_id` into a manifest",
        )
    if not found.isascii() or not found.replace("-", "").replace("_", "").isalnum():
        raise UsageError(f"`{found}` is no account id", hint="it is 32 hexadecimal digits")
    return found


@contextmanager
def open_api(settings: Globals, account: str, *, token: str = "") -> Iterator[Api]:
    """The API of one account, live or the sandbox inside this process; `token` instead of the usual one."""
    from reconciler.api import Api

    if settings.sandbox_file and not settings.sandbox:
        hint = "say --sandbox as well; without it the live account would be meant"
        raise UsageError("--sandbox-file is given without --sandbox", hint=hint)
    traced = settings.trace or settings.verbose
    hidden = traced or settings.sandbox
    url = "http://sandbox/client/v4" if settings.sandbox else base_url(settings)
    with _sandbox(settings) as handler, progress(hidden=hidden) as show:
        api = Api(
            base_url=url,
            loopback=_is_loopback(urlsplit(url).hostname or ""),
            account_id=account,
            token=token or (handler and (first_token(os.environ, *TOKENS) or "sandbox")) or api_token(os.environ),
            handler=handler,
            trace=tell if traced else lambda _: None,
            tell=lambda text: say(f"{text}\n"),
            progress=show,
            sleep=(lambda seconds: count_down(api.stop.wait, seconds)) if has_progress(hidden=hidden) else None,
            max_wait=settings.max_wait,
        )
        with api:
            yield api


@contextmanager
def _sandbox(settings: Globals) -> Iterator[Handler | None]:
    if not settings.sandbox:
        yield None
        return
    path = settings.sandbox_file or SANDBOX_FILE
    if not os.path.exists(path):
        say("note: the sandbox is empty; `buildsctl sandbox seed FILE` puts Workers into it\n")
    with closing(open_sandbox(path, hint="name another file with --sandbox-file")) as sandbox:
        yield sandbox.handle


def open_sandbox(path: str, *, hint: str) -> Sandbox:
    """With the folder of its data; Git shall not see the one that is ours."""
    from reconciler.sandbox import Sandbox, StoreError

    folder = os.path.dirname(path)
    try:
        if folder and not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
            if path == SANDBOX_FILE:
                Path(folder, ".gitignore").write_text("*\n", encoding="utf-8")
        return Sandbox(path)
    except (OSError, StoreError) as error:
        raise UsageError(f"the sandbox's data `{path}` cannot be used: {error}", hint=hint) from None


def base_url(settings: Globals) -> str:
    """Where the API is."""
    url = settings.api_base_url or BASE_URL
    return checked_url(url, allow_http=settings.allow_http, hint=f"the live API is {BASE_URL}")


def checked_url(url: str, *, allow_http: bool, hint: str) -> str:
    """The base URL of an API. A token goes there: so over TLS, unless it never leaves this machine."""
    try:
        parts = urlsplit(url)
        host, plain = parts.hostname or "", parts.port is None or parts.port > 0
        host.encode("idna").decode("idna")
    except ValueError:
        raise UsageError("the base URL cannot be read", hint=hint) from None
    if "@" in url:
        raise UsageError("the base URL holds a user name", hint="the token comes from the environment")
    odd = not url.isascii() or not url.isprintable() or " " in url or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not host or not plain or odd:
        raise UsageError(f"`{url}` is no base URL of the API", hint=hint)
    if parts.scheme == "http" and not allow_http and not _is_loopback(host):
        raise UsageError(
            f"the base URL `{url}` would send the token unencrypted", hint="use https, or insist with --allow-http"
        )
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def api_token(environment: Mapping[str, str]) -> str:
    """Never an argument."""
    token = first_token(environment, *TOKENS)
    if token:
        return token
    raise AuthenticationError(
        "no API token is set",
        hint=(
            "set BUILDSCTL_API_TOKEN or CLOUDFLARE_API_TOKEN to a *user* API token with Workers Builds "
            "Configuration (Read to plan, Edit to apply) and Workers Scripts: Read"
        ),
    )


def first_token(environment: Mapping[str, str], *names: str) -> str:
    """The value of the first of these variables that is set; empty where none is."""
    name, token = next(((name, one) for name in names if (one := environment.get(name, "").strip())), ("", ""))
    if token and not Secret(token).can_be_token:
        raise UsageError(f"{name} holds characters that no API token has", hint="copy the token again")
    return token
