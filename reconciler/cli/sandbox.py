"""`sandbox`: run the stand-in of the API over HTTP, and put Workers and dashboard-made objects into it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import output
from reconciler.cli.options import Globals, argument, command_group, global_options, option
from reconciler.cli.session import SANDBOX_FILE, open_sandbox
from reconciler.errors import Exit, UsageError

if TYPE_CHECKING:
    from reconciler.sandbox import Sandbox
    from reconciler.sandbox.fault_spec import Fault


@command_group
def sandbox() -> None:
    """Run a strict stand-in of the API, for trying out and for your own pipelines.

    \b
    Examples:
      buildsctl sandbox seed examples/quickstart/seed.json
      buildsctl sandbox serve --port 8787
    """


@sandbox.command(
    short_help="Serve the sandbox over HTTP on 127.0.0.1.",
    params=[
        option("--port PORT", "Which (8787); 0 picks a free one.", type=click.IntRange(0, 65535), default=8787),
        option("--data FILE", "Keep the data in a file; default in memory."),
        option("--seed FILE", "Start with the Workers and objects of a JSON file."),
        option("--fault SPEC", "Fail at some requests; repeatable.", multiple=True),
    ],
)
@global_options
def serve(
    settings: Globals,  # noqa: ARG001
    *,
    port: int,
    data: str | None,
    seed: str | None,
    fault: tuple[str, ...],
) -> int:
    """Serve the sandbox over HTTP on 127.0.0.1 until it is interrupted.

    It takes any bearer token, unless the seed lists some, and refuses what the live API refuses, with the
    same status and code. The first line on stdout is the base URL.

    \b
    Examples:
      buildsctl sandbox serve --port 8787 --seed seed.json
      CLOUDFLARE_API_BASE_URL=http://127.0.0.1:8787/client/v4 \\
        CLOUDFLARE_API_TOKEN=any buildsctl plan

    A fault SPEC is KIND:METHOD:PATH[:NAME=VALUE,…]:

    \b
      KIND    429; 500 to 599 (JSON), 502-html and the like, success-false:
              the API does not act, but with -after it does, 500-after;
              slow: it acts late; slow-after: it answers late;
              cut-before, cut-after, truncated, wrong-shape
      METHOD  GET, POST, … or *
      PATH    below the account; * is within a segment, a last /** any rest,
              * alone any path
      NAME    times=N or times=forever (1), after=N: let N through first (0)
              seconds=N for slow (1), retry_after=N for 429 (1)

    \b
      buildsctl sandbox serve --fault 500:POST:/builds/triggers \\
        --fault 429:*:*:times=3,retry_after=2 --fault slow:GET:*:seconds=0.2

    While it runs, GET /__sandbox/faults lists them, POST adds one (the same
    fields as a JSON object), DELETE clears them.

    \b
    Exit codes: 0 served until it was interrupted · 1 error
    """
    from reconciler.sandbox.server import serve as bind

    faults = _read_faults(fault)
    held = _open(data or ":memory:", seed)
    for one in faults:
        held.faults.add(one)
    try:
        server = bind(held, port=port)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}", hint="--port 0 picks a free one") from None
    output.data(f"http://127.0.0.1:{server.server_address[1]}/client/v4\n")
    try:
        with suppress(KeyboardInterrupt):  # how it is meant to end
            server.serve_forever()
    finally:
        server.server_close()
        held.close()
    return Exit.OK


@sandbox.command(short_help="Put Workers and objects into the sandbox.")
@argument("file")
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

    \b
    Exit codes: 0 done · 1 error
    """
    path = settings.sandbox_file or SANDBOX_FILE
    _open(path, file).close()
    output.data(f"{file} → {path}\n")
    return Exit.OK


def _read_faults(specs: tuple[str, ...]) -> list[Fault]:
    from reconciler.sandbox.fault_spec import GRAMMAR, FaultError, parse
    from reconciler.sandbox.faults import MOST_FAULTS

    if len(specs) > MOST_FAULTS:
        raise UsageError(f"there are more than {MOST_FAULTS} faults", hint="`times=N` repeats one")
    found = []
    for spec in specs:
        try:
            found.append(parse(spec))
        except FaultError as error:
            raise UsageError(f"the fault `{spec}` cannot be used: {error}", hint=f"it is {GRAMMAR}") from None
    return found


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
    held = open_sandbox(path, hint="name another file")
    try:
        if seed_file:
            held.seed(_read_seed(seed_file))
    except OSError as error:
        told = f"the seed `{seed_file}` cannot be read: {error.strerror}"
        raise UsageError(told, hint="check the file's name") from None
    except (ValueError, RecursionError) as error:
        hint = "`buildsctl sandbox seed --help` shows the format"
        raise UsageError(f"the seed `{seed_file}` cannot be used: {error}", hint=hint) from None
    return held
