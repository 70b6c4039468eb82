"""A first manifest for a repository that has none: what is known filled in, what is not said in a comment. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.export.collect import literal
from reconciler.export.yaml_text import text
from reconciler.kinds.connection import Connection
from reconciler.kinds.repository import Repository

RUNNERS = {"npm": "npx", "pnpm": "pnpm exec", "yarn": "yarn", "bun": "bunx", "uv": "uv run"}
NO_TOKEN = "0" * 32


@dataclass(frozen=True, kw_only=True)
class First:
    """What is known: `workers` by name, each with the Wrangler environment that it is deployed with, or ""."""

    owner: str
    account_id: str
    connection: Connection
    branch: str
    root_directory: str
    repository: Repository
    workers: Mapping[str, str]
    token_name: str = ""
    cloudflare_token_id: str = ""


def first_manifest(first: First) -> str:
    """Production and preview of each Worker, with the repository's own scripts and package manager."""
    connection = first.connection
    body: dict[str, Any] = {"provider_type": connection.provider_type} if connection.provider_type != "github" else {}
    body |= {"provider_account_id": connection.provider_account_id, "repo_id": connection.repo_id}
    document: dict[str, Any] = {
        "version": "1",
        "owner": first.owner,
        **({"account_id": first.account_id} if first.account_id else {}),
        "connections": {f"{connection.provider_account_name}/{connection.repo_name}": body},
        "tokens": _token(first),
        "workers": {name: _worker(first, environment) for name, environment in first.workers.items()},
    }
    names: Sequence[str] = list(first.workers)
    comments: dict[tuple[str, ...], str] = {
        ("owner",): "who manages what stands here: a marker on each trigger says so",
        ("tokens",): _about_tokens(first),
        ("workers", names[0]): "a Worker must have been deployed once: npx wrangler deploy",
        ("workers", names[0], "triggers", "production"): f"pushes to `{first.branch}`",
        (
            "workers",
            names[0],
            "triggers",
            "preview",
        ): "pushes to every other branch: uploads a version, deploys nothing",
    }
    shown = text(document, comments).replace('version: "1"\n', "version: 1\n", 1)
    return f"# yaml-language-server: $schema=manifest.schema.json\n{shown}"


def _token(first: First) -> dict[str, Any]:
    if first.token_name:
        return {"builds": {"build_token_name": literal(first.token_name)}}
    secret = {"value_from": {"env": "DEPLOY_TOKEN"}}
    return {"deploy": {"cloudflare_token_id": first.cloudflare_token_id or NO_TOKEN, "build_token_secret": secret}}


def _about_tokens(first: First) -> str:
    if first.token_name:
        return "the API token that builds run under: made elsewhere, looked up by its name, never changed"
    lines = "the API token that builds run under, registered by buildsctl; its value comes from the environment"
    if not first.cloudflare_token_id:
        lines += "\nput the id of that token here: DEPLOY_TOKEN=… buildsctl tokens id --env DEPLOY_TOKEN prints it"
    return lines


def _worker(first: First, environment: str) -> dict[str, Any]:
    runner = RUNNERS.get(first.repository.package_manager, "npx")
    suffix = f" --env {environment}" if environment else ""
    shared: dict[str, Any] = {}
    if first.root_directory.strip("/"):
        shared["root_directory"] = literal(first.root_directory)
        shared["path_includes"] = [f"{literal(first.root_directory.strip('/'))}/*"]
    if "build" in first.repository.scripts:
        shared["build_command"] = f"{first.repository.package_manager or 'npm'} run build"
    production = {"branch_includes": [literal(first.branch)], "deploy_command": f"{runner} wrangler deploy{suffix}"}
    preview = {
        "branch_includes": ["*"],
        "branch_excludes": [literal(first.branch)],
        "deploy_command": f"{runner} wrangler versions upload{suffix}",
    }
    return {**shared, "triggers": {"production": production, "preview": preview}}
