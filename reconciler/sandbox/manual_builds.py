"""Manual builds: what a request for one must hold, and the build that comes of it."""

import hashlib
from collections.abc import Mapping

from reconciler.sandbox import build_troubles, builds, connections, limits, triggers
from reconciler.sandbox.body import Check, checked, is_flag, is_text, json_object, one_of, text
from reconciler.sandbox.build_course import course, waiting
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import RefusalError, Reply, invalid_body


def create(call: Call) -> Reply:
    """`POST /builds/triggers/{uuid}/builds`. `{}` is 12002 (field notes, *Error codes*).

    The branch need not be one that the trigger builds on a push: whether the live API asks that is unknown.
    """
    trigger = triggers.require(call)
    fields = checked(json_object(call.body), FIELDS, required=())
    branch, commit_hash = fields.get("branch"), fields.get("commit_hash")
    if branch is None and commit_hash is None:
        raise invalid_body()
    connection = connections.show(call.db, trigger["repo_connection_uuid"])
    metadata = {
        **builds.embedded(call.db, trigger),
        # What the live API knows of a commit that it was only told the hash of is unknown.
        "author": None,
        "branch": branch,
        "build_trigger_source": "manual",
        "commit_hash": commit_hash or head_of(connection["repo_id"], branch or ""),
        "commit_message": None,
    }
    uuid, version_id, tag = call.new_uuid(), call.new_uuid(), trigger["external_script_id"]
    if limits.of_account(call.db)["has_reached_build_minutes_limit"]:
        # Unknown: the live API may as well refuse the request, or let the build fail. Here it waits.
        plan = waiting(call.now, "Build minutes limit reached: the build waits until build minutes refresh")
    else:
        trouble = build_troubles.find(call.db, tag=tag, metadata=metadata, connection=connection)
        plan = course(call.now, metadata, version_id=version_id, trouble=trouble)
    builds.insert(
        call.db,
        uuid=uuid,
        tag=tag,
        trigger_uuid=trigger["trigger_uuid"],
        metadata=metadata,
        version_id=version_id if plan.outcome == "success" and plan.stopped_on else None,
        created_on=call.now,
        course=plan,
    )
    return Reply(result={"build_uuid": uuid, "created_on": call.now})


def head_of(repo_id: str, branch: str) -> str:
    """The commit that a branch stands at: 40 hex digits, the same on every run."""
    return hashlib.sha256(f"{repo_id} {branch}".encode()).hexdigest()[:40]


def _shaped(checks: Mapping[str, Check], *, required: frozenset[str]) -> Check:
    """An object with these fields."""

    def check(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        try:
            checked(value, checks, required=required)
        except RefusalError:
            return False
        return True

    return check


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


_FILE = _shaped(
    {"content": is_text, "filename": text(at_least=1), "isBase64": is_flag, "replace": is_text},
    required=frozenset({"content", "filename"}),
)
_SEED_REPO = _shaped(
    {
        "branch": text(at_least=1),
        "owner": text(at_least=1),
        "path": is_text,
        "provider": one_of("github"),
        "repository": text(at_least=1),
        "files": _list_of(_FILE),
    },
    required=frozenset({"branch", "owner", "path", "provider", "repository"}),
)
# The stand-in has no repository to put a seed_repo into: only its shape is checked.
FIELDS: Mapping[str, Check] = {"branch": text(at_least=1), "commit_hash": text(at_least=1), "seed_repo": _SEED_REPO}
