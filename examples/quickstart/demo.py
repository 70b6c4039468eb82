"""The main job on the sandbox: plan, apply, no changes, an edit by hand, seen, mended; then a build.

The sandbox is one of its own, or one that serves `seed.json` already, at the URL that is given as an argument.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
BUILDSCTL = Path(sys.executable).with_name("buildsctl")
ACCOUNT = "0123456789abcdef0123456789abcdef"


def show(*arguments: str) -> None:
    """Run one command in this folder and show what a user sees."""
    print(f"\n$ buildsctl {' '.join(arguments)}", flush=True)
    subprocess.run([BUILDSCTL, *arguments], cwd=HERE, check=True)


def request(method: str, path: str, body: object = None) -> object:
    """What somebody else does past buildsctl: here the hand that clicks in the dashboard."""
    url = f"{os.environ['CLOUDFLARE_API_BASE_URL']}/accounts/{ACCOUNT}{path}"
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer somebody-else", "Content-Type": "application/json"}
    with urlopen(Request(url, data, headers, method=method), timeout=10) as answer:
        return json.load(answer)["result"]


def demo(url: str) -> None:
    os.environ |= {
        "CLOUDFLARE_API_BASE_URL": url,
        "CLOUDFLARE_API_TOKEN": "any-token-will-do-here",
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "DEPLOY_TOKEN": "the-secret-of-an-api-token",
        "SENTRY_AUTH_TOKEN": "another-secret",
    }
    show("plan")
    show("apply", "--auto-approve")
    show("plan")
    print("\n# Somebody edits the build command in the dashboard …", flush=True)
    tag = request("GET", "/workers/scripts")[0]["tag"]
    trigger = request("GET", f"/builds/workers/{tag}/triggers")[0]
    request("PATCH", f"/builds/triggers/{trigger['trigger_uuid']}", {"build_command": "make"})
    show("plan")
    show("apply", "--auto-approve")
    show("plan")
    print("\n# Did it work? A build, its log as it comes, and the latest of every Worker …", flush=True)
    show("builds", "run", "web/production", "--logs")
    show("builds", "latest")


def main() -> None:
    if sys.argv[1:]:
        demo(sys.argv[1])
        return
    server = subprocess.Popen(
        [BUILDSCTL, "sandbox", "serve", "--port", "0", "--seed", HERE / "seed.json"], stdout=subprocess.PIPE, text=True
    )
    try:
        demo(server.stdout.readline().strip())
    finally:
        server.terminate()
        server.wait(timeout=10)


if __name__ == "__main__":
    main()
