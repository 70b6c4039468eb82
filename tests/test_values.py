"""Small values on their own: shapes of answers, changes, markers, names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deepdiff import DeepDiff
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import diff, ownership
from reconciler.api import Api
from reconciler.cli.options import Globals
from reconciler.errors import AnswerError
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker
from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Disposition,
    FingerprintDraft,
    MarkerDraft,
    Secret,
    Status,
    Unread,
)
from reconciler.plan import connections
from reconciler.plan.summary import NAMES
from reconciler.states import Observed

UUID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
MARKER = {"v": 1, "owner": "acme", "u": UUID, "k": "production", "f": {}, "e": {}}


def _marker(**changed: object) -> ownership.Marker | ownership.Newer | None:
    text = json.dumps(MARKER | changed)
    return ownership.read({ownership.MARKER: EnvVar(is_secret=False, value=text)}, UUID)


@pytest.mark.parametrize(
    "changed",
    [{"v": 0}, {"v": True}, {"v": "1"}, {"u": UUID[:-1] + "0"}, {"owner": ""}, {"owner": None}, {"k": ""}, {"k": 7}],
    ids=str,
)
def test_what_is_no_marker(changed: dict[str, object]) -> None:
    assert _marker(**changed) is None


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{", "[" * 5_000, '{"v": 1}'])
def test_what_is_no_marker_at_all(text: str) -> None:
    assert ownership.read({ownership.MARKER: EnvVar(is_secret=False, value=text)}, UUID) is None


def test_a_secret_is_no_marker() -> None:
    assert ownership.read({ownership.MARKER: EnvVar(is_secret=True, value=None)}, UUID) is None


def test_a_marker_forgives_odd_hashes() -> None:
    found = _marker(f=[], e={"a": 1, "b": "p"}, p="yes")
    assert isinstance(found, ownership.Marker)
    assert (found.fields, found.entries, found.protect) == ({}, {"b": "p"}, False)


@pytest.mark.parametrize(
    "name", ["x", "a:b", "a:b [0-aaaaaa---------]", "a:b [1-aaaaa---------]", "a:b [1-AAAAAA---------]"]
)
def test_what_is_no_generation(name: str) -> None:
    assert ownership.read_token_name(name) is None


def test_a_generation_reads_as_it_is_written() -> None:
    made = ownership.Generation(owner="acme/x", name="deploy", number=12, id6="0123ab")
    assert ownership.read_token_name(str(made)) == made


@pytest.mark.parametrize(
    ("causes", "joined"),
    [
        ([Cause.MANIFEST], Cause.MANIFEST),
        ([Cause.MANIFEST, Cause.LIVE], Cause.BOTH),
        ([Cause.MANIFEST, Cause.UNKNOWN], Cause.UNKNOWN),
        ([Cause.LIVE, Cause.UNKNOWN], Cause.LIVE),
        ([Cause.UNKNOWN], Cause.UNKNOWN),
    ],
)
def test_joined_causes(causes: list[Cause], joined: Cause) -> None:
    assert ownership.joined(causes) is joined


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (Action.CREATE, {}, {}),
        (Action.CREATE, None, None),
        (Action.UPDATE, None, {}),
        (Action.REPLACE, {}, None),
        (Action.DELETE, {}, {}),
        (Action.DELETE, None, None),
    ],
)
def test_a_change_has_the_before_and_after_of_its_action(action: Action, before: object, after: object) -> None:
    with pytest.raises(ValueError, match="wrong before or after"):
        Change(address=Address.of("token", "x"), action=action, before=before, after=after, reason="")


def test_answers_of_the_wrong_shape() -> None:
    good = {"trigger_uuid": UUID, "repo_connection": None}
    for field, value in {
        "trigger_name": 7,
        "branch_includes": "main",
        "path_excludes": [7],
        "build_caching_enabled": "no",
        "trigger_uuid": None,
        "repo_connection": "x",
    }.items():
        with pytest.raises(AnswerError):
            Trigger.decode_one("web", good | {field: value})
    for result in ("x", [7], {"a": 1}):
        with pytest.raises(AnswerError):
            Worker.decode(result)
    with pytest.raises(AnswerError):
        EnvVar.decode({"A": {"is_secret": False, "value": 7}})
    with pytest.raises(AnswerError):
        EnvVar.decode({"..": {"is_secret": False, "value": ""}})
    assert EnvVar.decode(None) == {}
    assert Worker.decode([{"id": "web", "tag": None}]) == {"web": ""}


def test_fields_and_requests_of_the_kinds() -> None:
    assert Worker(name="web", tag="t").fields == {"id": "web", "tag": "t"}
    assert Token.delete(UUID).path == ("builds", "tokens", UUID)
    assert Connection.delete(UUID).path == ("builds", "repos", "connections", UUID)
    assert Connection.decode(None) is None


def test_nothing_shows_a_secret() -> None:
    secret = Secret("canary", "env X")
    assert "canary" not in f"{secret!r} {secret} {EnvVar(is_secret=True, value=secret)!r}"


def test_lists_compare_as_sets_and_say_what_changed() -> None:
    before = {"branch_includes": ("b", "a"), "root_directory": "/apps/", "build_command": ""}
    assert (
        diff.trigger_fields(before, {"branch_includes": ("a", "b"), "root_directory": "apps", "build_command": None})
        == ()
    )
    (change,) = diff.trigger_fields({"path_excludes": ("a", "b")}, {"path_excludes": ("b", "c", "d")})
    assert (change.added, change.removed) == (("c", "d"), ("a",))


LISTS = st.lists(st.sampled_from(["a", "b", "main", "*"]), max_size=3).map(tuple)
FIELDS = st.fixed_dictionaries(
    {
        "branch_includes": LISTS,
        "path_excludes": LISTS,
        "build_command": st.sampled_from([None, "", "make"]),
        "root_directory": st.sampled_from(["/", "", None, "/apps/", "apps"]),
        "build_caching_enabled": st.booleans(),
    }
)


@given(FIELDS, FIELDS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_equal_is_what_deepdiff_finds_equal(before: dict[str, Any], after: dict[str, Any]) -> None:
    normal = [{name: diff.normal(name, value) for name, value in side.items()} for side in (before, after)]
    assert (diff.trigger_fields(before, after) == ()) == (DeepDiff(*normal) == {})


KEY = "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXktMDEyMw=="


def test_the_largest_marker_fits() -> None:
    """63 variables of 64-character names, all secret, each with a version: under 5,000 characters."""
    key = ownership.read_key(KEY)
    names = [f"V{number:063d}" for number in range(63)]
    drafts = {
        ownership.hash_name(name): FingerprintDraft(name=name, secret=Secret("x" * 5_000), version="v" * 16)
        for name in names
    }
    fields = dict.fromkeys(Trigger.schema, "x" * 512)
    draft = MarkerDraft(owner="o" * 64, key="k" * 64, protect=True, fields=fields, entries=drafts)
    text = ownership.write(draft, UUID, key)
    assert len(text) < 5_000
    found = ownership.read({ownership.MARKER: EnvVar(is_secret=False, value=text)}, UUID)
    assert isinstance(found, ownership.Marker)
    assert all(found.knows(name) for name in names)
    assert found.kid == key.kid


@pytest.mark.parametrize("text", ["", "short", "x" * 31, "a" * 43 + "!", "0" * 62, "é" * 50])
def test_what_is_no_key(text: str) -> None:
    assert ownership.read_key(text) is None


@pytest.mark.parametrize("text", [KEY, KEY.rstrip("="), f" {KEY}\n", "00" * 32, "ff" * 64, "_-" * 22])
def test_what_is_a_key(text: str) -> None:
    key = ownership.read_key(text)
    assert key is not None
    assert repr(key) == "(key)"


def test_a_fingerprint_is_of_one_trigger_one_name_one_value_one_key() -> None:
    key, other = ownership.FingerprintKey(b"k" * 32), ownership.FingerprintKey(b"l" * 32)
    made = {
        key.fingerprint(UUID, "A", "x"),
        key.fingerprint(UUID[:-1] + "0", "A", "x"),
        key.fingerprint(UUID, "B", "x"),
        key.fingerprint(UUID, "A", "y"),
        key.fingerprint(UUID, "Ax", ""),
        other.fingerprint(UUID, "A", "x"),
    }
    assert len(made) == 6
    assert {len(one) for one in made} == {16}
    assert key.token_mac("id", "x")[:2] == key.kid[:2]


def test_the_plan_schema_is_published_and_names_what_the_code_names() -> None:
    root = Path(__file__).parent.parent
    text = (root / "reconciler" / "render" / "plan.schema.json").read_text(encoding="utf-8")
    assert (root / "schemas" / "plan.schema.json").read_text(encoding="utf-8") == text
    document = json.loads(text)["properties"]
    row = document["resource_changes"]["items"]["properties"]
    assert row["disposition"]["enum"] == [one.value for one in Disposition]
    assert row["cause"]["enum"] == [*(one.value for one in Cause), None]
    assert document["summary"]["required"] == list(NAMES)
    outcome = document["outcomes"]["items"]["properties"]
    assert outcome["status"]["enum"] == [one.value for one in Status]
    assert outcome["action"]["enum"] == [one.value for one in Action]


def test_a_connection_is_not_deleted_while_somebody_might_use_it() -> None:
    body = {"provider_account_id": "1", "repo_id": "2"}
    unread = Unread(what="the triggers of Worker `web`", error=AnswerError("odd"))
    declared = Connection.parse("acme/site", body, None)
    plan = connections.delete(declared, Observed(unread_workers={"web": unread}), account_id="a")
    assert (len(plan.refusals), plan.steps) == (1, ())


def test_a_limit_of_no_wait_is_a_limit() -> None:
    assert Globals().with_later({"max_wait": 0.0, "account_id": "", "verbose": False}).max_wait == 0.0


@pytest.mark.parametrize("marker", [{"v": 1}, {"e": []}, {"e": {"x": 1}}], ids=str)
def test_a_marker_with_an_odd_list_can_be_released_from(marker: dict[str, object]) -> None:
    assert json.loads(ownership.without(json.dumps(marker), ["A"]))["e"] == {}


@pytest.mark.parametrize("value", ["a\nb", "é", "a b", "", "\0"])
def test_what_cannot_be_a_token_is_not_sent(value: str) -> None:
    def handler(*_: object) -> object:
        raise AssertionError("nothing is sent")

    api = Api(base_url="http://none/client/v4", account_id="a", token="t", handler=handler)
    assert api.verify(Secret(value)) == {}
