"""A generated estate: manifests in many files, and what the API answers where all of it is live and as declared.

Each Worker has two triggers of ten variables, one of them a secret, and a file of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reconciler import manifest, ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import PER_PAGE
from reconciler.model import Address, FingerprintDraft, MarkerDraft, Secret
from reconciler.sandbox import Sandbox
from reconciler.states import DeclaredTrigger, Desired

ROOT = Path(__file__).parents[2]
ACCOUNT = "0123456789abcdef0123456789abcdef"
PREFIX = f"/client/v4/accounts/{ACCOUNT}"
ENVIRONMENT = {
    "BENCH_TOKEN": "bench-token-value",
    "BENCH_SECRET": "bench-secret-value",
    "BUILDSCTL_FINGERPRINT_KEY": "00" * 32,
}
TRIGGERS, VARIABLES = 2, 10  # of a Worker, of a trigger
HEAD = """\
version: 1
owner: acme/bench
params: {branch: main}
connections: {acme/site: {provider_account_id: "41612145", repo_id: "1332648945"}}
tokens:
  deploy: {cloudflare_token_id: ed17574386854bf78a67040be0a770b0, build_token_secret: {value_from: {env: BENCH_TOKEN}}}
defaults: {profile: node, build_caching_enabled: true}
profiles:
  node:
    params: {dir: "${{ worker.name }}"}
    root_directory: apps/${{ params.dir }}
    path_includes: ["apps/${{ params.dir }}/*", "packages/*"]
    build_command: npm ci && npm run build
    triggers:
      production: {branch_includes: ["${{ params.branch }}"], deploy_command: npx wrangler deploy}
      preview:
        branch_includes: ["*"]
        branch_excludes: ["${{ params.branch }}"]
        deploy_command: npx wrangler versions upload
"""


def name(number: int) -> str:
    return f"worker-{number:04}"


def write_manifests(folder: Path, workers: int, *, changed: int = 0) -> None:
    """One file for the set, one for each Worker; of `changed` production triggers the build command is another."""
    (folder / "workers").mkdir(parents=True)
    (folder / "set.yaml").write_text(HEAD)
    for number in range(workers):
        lines = ["workers:", f"  {name(number)}:", "    triggers:"]
        for key in ("production", "preview"):
            lines += [f"      {key}:"]
            lines += ["        build_command: make"] * (number < changed and key == "production")
            lines += ["        environment_variables:"]
            lines += [f'          SETTING_{one:02}: "value {one} of {name(number)}"' for one in range(VARIABLES - 1)]
            lines += ["          SENTRY_DSN: {value_from: {env: BENCH_SECRET}}"]
            lines += ["        lint: {allow: [secret-on-preview]}"] * (key == "preview")
        (folder / "workers" / f"{name(number)}.yaml").write_text("\n".join(lines) + "\n")


def load(folder: Path) -> Desired:
    return manifest.load([str(folder)], manifest.Resolver(ENVIRONMENT))


def answers(folder: Path) -> dict[str, str]:
    """What a GET of each path answers, as text, where the API has just what the manifests in `folder` say."""
    wanted, sandbox = load(folder), Sandbox()
    sandbox.seed(seed(wanted))

    def get(path: str, **query: str) -> Any:
        authorized = {"authorization": "Bearer bench"}
        text = sandbox.handle("GET", f"{PREFIX}{path}", query, authorized, b"").body.decode()
        found[f"{PREFIX}{path}"] = text
        return json.loads(text)["result"]

    found: dict[str, str] = {}
    get("/builds/tokens", page="1", per_page=str(PER_PAGE))
    for worker in get("/workers/scripts"):
        for trigger in get(f"/builds/workers/{worker['tag']}/triggers"):
            get(f"/builds/triggers/{trigger['trigger_uuid']}/environment_variables")
    sandbox.close()
    return found


def seed(wanted: Desired) -> dict[str, Any]:
    """The live state in which a plan of `wanted` finds nothing to do."""
    key = ownership.read_key(ENVIRONMENT["BUILDSCTL_FINGERPRINT_KEY"])
    (connection,), (token,) = wanted.connections, wanted.tokens
    number = ownership.Generation(
        owner=wanted.owner,
        name=token.address.name,
        number=1,
        id6=ownership.hash_token_id(token.resource.cloudflare_token_id, ""),
        mac8=key.token_mac(token.resource.cloudflare_token_id, ENVIRONMENT["BENCH_TOKEN"]),
    )
    ids = {connection.address: _uuid(1), token.address: _uuid(2)}
    return {
        "account_id": ACCOUNT,
        "workers": [{"id": worker} for worker in wanted.workers],
        "connections": [{**connection.resource.fields, "repo_connection_uuid": _uuid(1)}],
        "build_tokens": [
            {
                "build_token_name": str(number),
                "build_token_uuid": _uuid(2),
                "cloudflare_token_id": token.resource.cloudflare_token_id,
            }
        ],
        "triggers": [_trigger(one, _uuid(3 + at), ids, wanted.owner, key) for at, one in enumerate(wanted.triggers)],
    }


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def _trigger(one: DeclaredTrigger, uuid: str, ids: dict[Address, str], owner: Any, key: Any) -> dict[str, Any]:
    fields = {field: ids.get(value, value) for field, value in one.resource.fields.items()}
    variables = {variable: declared.resource for variable, declared in one.variables.items()}
    draft = MarkerDraft(
        owner=owner,
        key=one.address.name,
        protect=False,
        fields=fields,
        entries={ownership.hash_name(variable): _entry(variable, value) for variable, value in variables.items()},
    )
    marker = EnvVar(is_secret=False, value=ownership.write(draft, uuid, key))
    return {
        **{field: list(value) if isinstance(value, tuple) else value for field, value in fields.items()},
        "worker": one.address.path[0],
        "trigger_uuid": uuid,
        "environment_variables": {
            variable: {"is_secret": value.is_secret, "value": _plain(value)}
            for variable, value in {**variables, ownership.MARKER: marker}.items()
        },
    }


def _entry(variable: str, value: EnvVar) -> Any:
    if isinstance(value.value, Secret):
        return FingerprintDraft(name=variable, secret=value.value, version="")
    return ownership.entry(value)


def _plain(value: EnvVar) -> Any:
    return value.value.value if isinstance(value.value, Secret) else value.value
