"""Thirty Workers wired up by hand, moved into Git on the sandbox: export, commit, adopt, watch, examine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import Request, urlopen

BUILDSCTL = Path(sys.executable).with_name("buildsctl")
ACCOUNT = "0123456789abcdef0123456789abcdef"
REPOSITORY = {"provider_account_id": "41612145", "repo_id": "1332648945"}
SERVICES = [f"service-{number:02}" for number in range(1, 28)]
ODD = ["acme-billing", "acme-site", "legacy"]


def estate() -> dict[str, object]:
    """What people clicked together over the years, five troubles included."""
    triggers, folders = [], {}
    for name in [*SERVICES, *ODD]:
        folder = "apps/" + name.removeprefix("acme-")
        folders[folder] = {"config_file": "wrangler.jsonc", "default_worker_name": name}
        for kind, branches, command in (
            ("Deploy default branch", ["main"], "npx wrangler deploy"),
            ("Deploy non-production branches", ["*"], "npx wrangler versions upload"),
        ):
            preview = branches == ["*"]
            secrets = {"DATABASE_URL": {"is_secret": True, "value": "postgres://…"}} if name == "acme-billing" else {}
            triggers.append(
                {
                    "worker": name,
                    "trigger_name": kind,
                    "branch_includes": branches,
                    "branch_excludes": ["main"] if preview else [],
                    "path_includes": [f"{folder}/*", "packages/*"],
                    "root_directory": f"/{folder}",
                    "build_command": "npm run build",
                    "deploy_command": command,
                    "build_caching_enabled": True,
                    "build_token": "old token" if name == "service-05" else "Workers Builds - 2026-01-02 10:00",
                    "environment_variables": {"NODE_VERSION": "24", **secrets},
                }
            )
    # The five troubles: a name that differs, a folder that is gone, a dead token, minutes used up, a lost Worker.
    folders["apps/site"]["default_worker_name"] = "acme-website"
    del folders["apps/legacy"]
    return {
        "workers": [{"id": name} for name in [*SERVICES, *ODD]],
        "connections": [{**REPOSITORY, "provider_account_name": "acme", "repo_name": "mono"}],
        "build_tokens": [
            {"build_token_name": "Workers Builds - 2026-01-02 10:00", "cloudflare_token_id": "t1"},
            {"build_token_name": "old token", "cloudflare_token_id": "t2", "dead": True},
        ],
        "triggers": triggers,
        "repositories": [{**REPOSITORY, "branches": ["main"], "root_directories": folders}],
        "limits": {"has_reached_build_minutes_limit": True},
        "builds": [{"worker": "service-05", "trigger": "Deploy default branch"}],
    }


def show(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run one command and show what a user sees."""
    print(f"\n$ buildsctl {' '.join(arguments)}", flush=True)
    ran = subprocess.run([BUILDSCTL, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    print(ran.stdout, flush=True)
    if ran.returncode not in codes:
        raise SystemExit(f"exit {ran.returncode}, expected {codes}")
    return ran.stdout


def by_hand(worker: str) -> None:
    """Somebody edits a trigger in the dashboard."""

    def request(method: str, path: str, body: object = None) -> list[dict[str, str]]:
        url = f"{os.environ['CLOUDFLARE_API_BASE_URL']}/accounts/{ACCOUNT}{path}"
        headers = {"Authorization": "Bearer somebody-else", "Content-Type": "application/json"}
        with urlopen(
            Request(url, json.dumps(body).encode() if body else None, headers, method=method), timeout=10
        ) as answer:
            return json.load(answer)["result"]

    tag = next(one["tag"] for one in request("GET", "/workers/scripts") if one["id"] == worker)
    trigger = request("GET", f"/builds/workers/{tag}/triggers")[0]
    request("PATCH", f"/builds/triggers/{trigger['trigger_uuid']}", {"build_command": "make"})


def main() -> None:
    folder = tempfile.mkdtemp()
    Path(folder, "seed.json").write_text(json.dumps(estate()))
    server = subprocess.Popen(
        [BUILDSCTL, "sandbox", "serve", "--port", "0", "--seed", Path(folder, "seed.json")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.chdir(folder)
        os.environ |= {
            "CLOUDFLARE_API_BASE_URL": server.stdout.readline().strip(),
            "CLOUDFLARE_API_TOKEN": "any-token-will-do-here",
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }
        show("export", "--all", "-o", "builds", "--owner", "acme/builds")
        print(Path("builds/_shared.yaml").read_text())
        for command in (
            ["init", "-q"],
            ["add", "builds"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "builds"],
        ):
            subprocess.run(["git", *command], check=True)
        show("apply", "builds", "--auto-approve")
        show("plan", "builds", "--detailed-exitcode")
        print("# Somebody edits a build command in the dashboard …")
        by_hand("service-07")
        found = json.loads(show("drift", "builds", "--format", "json", codes=(2,)))
        if [one["address"] for one in found["findings"]] != ["trigger/service-07/production"]:
            raise SystemExit("drift did not find exactly the edit")
        Path("builds/gone.yaml").write_text(
            "workers: {deleted-last-year: {triggers: {production: {branch_includes: [main], deploy_command: x}}}}\n"
        )
        show("doctor", "builds", codes=(1,))
    finally:
        server.terminate()
        server.wait(timeout=10)


if __name__ == "__main__":
    main()
