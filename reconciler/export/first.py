"""Workers that have no trigger yet: production and preview for each, with the repository's own scripts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.export.collect import Flat, Found, connection_key, free, literal, token_key
from reconciler.kinds.connection import Connection
from reconciler.kinds.repository import Repository
from reconciler.kinds.token import NO_TOKEN_ID
from reconciler.manifest.schema import WORKER
from reconciler.render.escape import clean

RUNNERS = {"npm": "npx", "pnpm": "pnpm exec", "yarn": "yarn", "bun": "bunx", "uv": "uv run"}


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a Worker is: a folder, what Builds finds in it, and the Wrangler environment, or ""."""

    root_directory: str
    repository: Repository
    environment: str = ""

    @property
    def manager(self) -> str:
        """The package manager that runs its scripts."""
        return self.repository.package_manager if self.repository.package_manager in RUNNERS else "npm"

    def wrangler(self, command: str) -> str:
        """What runs this command of Wrangler for the Worker."""
        suffix = f" --env {self.environment}" if self.environment else ""
        return f"{RUNNERS[self.manager]} wrangler {command}{suffix}"


@dataclass(frozen=True, kw_only=True)
class First:
    """What is known: a repository, and its Workers by name."""

    connection: Connection
    branch: str
    workers: Mapping[str, Site]
    cloudflare_token_id: str = ""


def workers_in(folder: str, repository: Repository) -> tuple[dict[str, Site], dict[str, str]]:
    """The Workers that Builds finds there, by name; and why others cannot be written down."""
    found: dict[str, Site] = {}
    odd: dict[str, str] = {}
    default = {"": repository.default_worker_name} if repository.default_worker_name else {}
    for environment, name in (*default.items(), *repository.env_worker_names.items()):
        if not re.match(WORKER, name):
            odd[name] = clean(f"the repository has a Worker `{name}`, which is no name of a Worker")
        elif environment and not re.match(WORKER, environment):
            odd[name] = clean(
                f"Worker `{name}` has the Wrangler environment `{environment}`, which no command can name"
            )
        else:
            found.setdefault(name, Site(root_directory=folder, repository=repository, environment=environment))
    return found, {name: why for name, why in odd.items() if name not in found}


def add_first(found: Found, first: First) -> None:
    """Add those of them that nothing is live of, with comments for somebody who has never seen a manifest."""
    missing = first.workers.keys() - {live.scope for live in found.observed.triggers}
    if not missing:
        return
    shared: Flat = {"repo_connection": connection_key(found, first.connection), "build_token": _token(found, first)}
    found.workers |= {name: _triggers(first.workers[name], literal(first.branch), shared) for name in missing}
    for where in (("workers", min(missing)), *([] if found.observed.triggers else [("profiles", "shared")])):
        found.comments |= {
            (*where, "triggers", "production"): f"pushes to `{first.branch}`",
            (*where, "triggers", "preview"): "pushes to every other branch: uploads a version, deploys nothing",
        }
    deploy = first.workers[min(missing)].wrangler("deploy")
    found.comments["workers", min(missing)] = f"a Worker must have been deployed once: {deploy}"


def _triggers(site: Site, branch: str, shared: Flat) -> dict[str, Flat]:
    """Production and preview, with the repository's own build script, by its package manager."""
    folder = literal(site.root_directory)
    both: Flat = {**shared}
    both |= {"build_command": f"{site.manager} run build"} if "build" in site.repository.scripts else {}
    both |= {"root_directory": folder, "path_includes": [f"{folder}/*"]} if folder != "/" else {}
    preview: Flat = {"branch_includes": ["*"], "branch_excludes": [branch]}
    return {
        "production": {**both, "branch_includes": [branch], "deploy_command": site.wrangler("deploy")},
        "preview": {**both, **preview, "deploy_command": site.wrangler("versions upload")},
    }


def _token(found: Found, first: First) -> str:
    """The key of the token to build under: one to be registered where its id is given; else that of what is
    live, or the account's only one; else one whose id is still to be found."""
    if not first.cloudflare_token_id:
        if found.tokens:
            return next(iter(found.tokens))
        if len(found.observed.tokens) == 1:
            return token_key(found, found.observed.tokens[0].id)
    key = free("deploy", found.tokens)
    secret: dict[str, Any] = {"value_from": {"env": "DEPLOY_TOKEN"}}
    found.tokens[key] = {
        "cloudflare_token_id": literal(first.cloudflare_token_id) or NO_TOKEN_ID,
        "build_token_secret": secret,
    }
    about = "the API token that builds run under, registered by buildsctl; its value comes from the environment"
    if not first.cloudflare_token_id:
        about += "\nput the id of that token here: DEPLOY_TOKEN=… buildsctl tokens id --env DEPLOY_TOKEN prints it"
    found.comments["tokens", key] = about
    return key
