"""All twenty-two operations of the API, by the commands that use them, on the sandbox.

The sandbox is one of its own, or one that serves `seed.json` already, at the URL that is given as an argument.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
BUILDSCTL = Path(sys.executable).with_name("buildsctl")
ACCOUNT = "0123456789abcdef0123456789abcdef"
ID = "[^/ ]+"
OPERATIONS = {
    "Get latest builds by script IDs": f"GET /builds/builds/latest {ID}",
    "Get builds by version IDs": f"GET /builds/builds {ID}",
    "Get account limits": f"GET /builds/account/limits {ID}",
    "List triggers by script": f"GET /builds/workers/{ID}/triggers {ID}",
    "Create trigger": f"POST /builds/triggers {ID}",
    "Update trigger": f"PATCH /builds/triggers/{ID} {ID}",
    "Delete trigger": f"DELETE /builds/triggers/{ID} {ID}",
    "Purge build cache": f"POST /builds/triggers/{ID}/purge_build_cache {ID}",
    "Create manual build": f"POST /builds/triggers/{ID}/builds {ID}",
    "List environment variables": f"GET /builds/triggers/{ID}/environment_variables {ID}",
    "Upsert environment variables": f"PATCH /builds/triggers/{ID}/environment_variables {ID}",
    "Delete environment variable": f"DELETE /builds/triggers/{ID}/environment_variables/{ID} {ID}",
    "Create build token": f"POST /builds/tokens {ID}",
    "List build tokens": f"GET /builds/tokens {ID}",
    "Delete build token": f"DELETE /builds/tokens/{ID} {ID}",
    "Create or update repository connection": f"PUT /builds/repos/connections {ID}",
    "Delete repository connection": f"DELETE /builds/repos/connections/{ID} {ID}",
    "Get repository configuration autofill": f"GET /builds/repos/{ID}/{ID}/{ID}/config_autofill {ID}",
    "List builds by script": f"GET /builds/workers/{ID}/builds {ID}",
    "Get build by UUID": f"GET /builds/builds/{ID} {ID}",
    "Cancel build": f"PUT /builds/builds/{ID}/cancel {ID}",
    "Get build logs": f"GET /builds/builds/{ID}/logs {ID}",
}
seen: list[str] = []


def show(*arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run one command, show what a user sees and which requests it took, and keep these."""
    print(f"\n$ buildsctl {' '.join(arguments)}", flush=True)
    ran = subprocess.run([BUILDSCTL, "-v", *arguments], capture_output=True, text=True, check=False)
    trace = re.findall(r"^((?:GET|PUT|POST|PATCH|DELETE) /\S+ \d+) \d+ ms", ran.stderr, re.MULTILINE)
    seen.extend(trace)
    print(ran.stdout, *(f"    {one}" for one in trace), sep="\n", flush=True)
    if ran.returncode not in codes:
        raise SystemExit(f"exit {ran.returncode}, expected {codes}:\n{ran.stderr}")
    return ran.stdout


def walk() -> None:
    manifest = Path("buildsctl.yaml")
    text = (HERE / "buildsctl.yaml").read_text(encoding="utf-8")
    manifest.write_text(text, encoding="utf-8")
    show("limits")
    show("apply", "--auto-approve")
    started = show("builds", "run", "web/production", "--format", "json")
    uuid = re.findall(r'"build_uuid": "([^"]+)"', started)[0]
    show("builds", "cancel", uuid)
    show("builds", "get", uuid)
    show("builds", "logs", uuid)
    show("builds", "list", "web")
    show("builds", "latest")
    show("builds", "get", "--version-id", "33333333-3333-4333-8333-333333333333", codes=(0, 1))
    show("cache", "purge", "web/production", "--auto-approve")
    show("drift", "--health", codes=(0, 2))
    show("doctor")
    show("status")
    # A variable goes, the token rotates, the preview trigger goes, then the Worker's production trigger.
    manifest.write_text(text.replace('{A: "1", B: "2"}', '{A: "1"}').replace("1" * 32, "2" * 32), encoding="utf-8")
    show("apply", "--auto-approve", "--no-verify-token", "--prune")
    manifest.write_text(
        text.partition("workers:")[0].replace("1" * 32, "2" * 32) + "workers: {web: {}}\n", encoding="utf-8"
    )
    show("apply", "--auto-approve")
    show("connections", "delete", "acme/site", "--auto-approve")


def tour(url: str) -> None:
    os.environ |= {
        "CLOUDFLARE_API_BASE_URL": url,
        "CLOUDFLARE_API_TOKEN": "any-token-will-do-here",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "DEPLOY_TOKEN": "the-secret-of-an-api-token",
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        walk()
    missing = [name for name, shape in OPERATIONS.items() if not any(re.fullmatch(shape, one) for one in seen)]
    print(f"\n{len(OPERATIONS) - len(missing)} of {len(OPERATIONS)} operations were used, in {len(seen)} requests.")
    if missing:
        raise SystemExit(f"not used: {', '.join(missing)}")


def main() -> None:
    if sys.argv[1:]:
        tour(sys.argv[1])
        return
    server = subprocess.Popen(
        [BUILDSCTL, "sandbox", "serve", "--port", "0", "--seed", HERE / "seed.json"], stdout=subprocess.PIPE, text=True
    )
    try:
        tour(server.stdout.readline().strip())
    finally:
        server.terminate()
        server.wait(timeout=10)


if __name__ == "__main__":
    main()
