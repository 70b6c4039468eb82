"""A small stand-in for GitHub beside the API: `GET /github/repos/OWNER/REPO` tells the numeric ids.

It knows the repositories of the connections. Set GITHUB_API_URL to the server's address and `/github`.
"""

import json
import sqlite3
from urllib.parse import unquote

from reconciler.sandbox.envelope import Response

PREFIX = "/github/repos/"


def answer(db: sqlite3.Connection, method: str, path: str) -> Response:
    """In the shape of GitHub's *Get a repository*, as far as the ids go."""
    owner, _, name = unquote(path.removeprefix(PREFIX)).partition("/")
    row = db.execute(
        "SELECT repo_id, provider_account_id FROM connections WHERE provider_type = 'github'"
        " AND lower(provider_account_name) = lower(?) AND lower(repo_name) = lower(?)",
        (owner, name),
    ).fetchone()
    ids = (row["repo_id"], row["provider_account_id"]) if row else ("", "")
    if method != "GET" or not all(one.isdecimal() for one in ids):
        return _json(404, {"message": "Not Found"})
    repository = {"id": int(ids[0]), "name": name, "owner": {"login": owner, "id": int(ids[1])}}
    return _json(200, {**repository, "full_name": f"{owner}/{name}"})


def _json(status: int, document: object) -> Response:
    return Response(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(document).encode())
