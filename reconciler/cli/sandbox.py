"""`sandbox`: run the stand-in of the API over HTTP, and put Workers and dashboard-made objects into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import Globals, Setting, global_options
from reconciler.cli.output import data
from reconciler.cli.session import SANDBOX_FILE, sandbox_folder
from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.sandbox import Sandbox


@click.group()
def sandbox() -> None:
    """Run a strict stand-in of the API, for trying out and for your own pipelines."""


@sandbox.command()
@click.option(
    "--port", cls=Setting, type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 picks a free one."
)
@click.option(
    "--data",
    "data_file",
    cls=Setting,
    envvar="BUILDSCTL_DATA",
    metavar="FILE",
    help="Keep the data in a file; default in memory.",
)
@click.option("--seed", cls=Setting, metavar="FILE", help="Start with the Workers and objects of a JSON file.")
@global_options
def serve(settings: Globals, *, port: int, data_file: str | None, seed: str | None) -> int:  # noqa: ARG001
    """Serve the sandbox over HTTP on 127.0.0.1 until it is interrupted.

    It takes any bearer token, unless the seed lists some, and refuses what the live API refuses, with the
    same status and code. The first line on stdout is the base URL.

    \b
    Examples:
      buildsctl sandbox serve --port 8787 --seed seed.json
      CLOUDFLARE_API_BASE_URL=http://127.0.0.1:8787/client/v4 \\
        CLOUDFLARE_API_TOKEN=any buildsctl plan
    """
    from reconciler.sandbox.server import serve as bind

    held = _open(data_file or ":memory:", seed)
    try:
        server = bind(held, port=port)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}", hint="--port 0 picks a free one") from None
    data(f"http://127.0.0.1:{server.server_address[1]}/client/v4\n")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass  # how it is meant to end
    finally:
        server.server_close()
        held.close()
    return Exit.OK


@sandbox.command()
@click.argument("file")
@global_options
def seed(settings: Globals, *, file: str) -> int:
    """Put Workers and dashboard-made objects into the data of --sandbox.

    FILE is an object in JSON or YAML; only the Workers' names are needed:

    \b
      {"workers": [{"id": "web", "tag": "32 hex digits, optional"}],
       "build_tokens": [{"build_token_name": "…",
                         "cloudflare_token_id": "…"}],
       "connections": [{"provider_account_id": "…", "repo_id": "…",
                        "provider_account_name": "…", "repo_name": "…"}],
       "triggers": [{"worker": "web", "branch_includes": ["main"],
                     "environment_variables": {"A": "plain",
                       "B": {"is_secret": true, "value": "…"}}}],
       "api_tokens": {"a bearer token": "user | read-only | account"}}

    \b
    Examples:
      buildsctl sandbox seed examples/quickstart/seed.json
      buildsctl --sandbox plan examples/quickstart
    """
    path = settings.sandbox_file or SANDBOX_FILE
    _open(path, file).close()
    data(f"{file} → {path}\n")
    return Exit.OK


def _read_seed(seed_file: str) -> dict[str, Any]:
    """JSON, or YAML, of which JSON is nearly a part."""
    from reconciler.manifest.nodes import Problems
    from reconciler.manifest.parse import parse

    text = Path(seed_file).read_text(encoding="utf-8")
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        root = parse(text, seed_file, Problems())
        if root is None or not root.mapping:
            raise ValueError(f"neither JSON nor YAML: {error}") from None
        found = root.bare()
    return found


def _open(path: str, seed_file: str | None) -> Sandbox:
    from reconciler.sandbox import Sandbox, SeedError, StoreError

    try:
        sandbox_folder(path)
        held = Sandbox(path)
        if seed_file:
            held.seed(_read_seed(seed_file))
    except (OSError, StoreError) as error:
        what = f"the seed `{seed_file}`" if seed_file and not isinstance(error, StoreError) else "the sandbox's data"
        raise UsageError(f"{what} cannot be read: {error}", hint="check the file's name") from None
    except (ValueError, RecursionError, SeedError) as error:
        raise UsageError(
            f"the seed `{seed_file}` cannot be used: {error}", hint="`buildsctl sandbox seed --help` shows the format"
        ) from None
    return held
