"""The rate gate on a clock of its own, against a server that limits as Cloudflare does."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import story
from world import World

from reconciler.api import Api
from reconciler.errors import RateLimitedError
from reconciler.gate import MAX_REFUSALS, Gate
from reconciler.kinds.worker import Worker
from reconciler.manifest import load
from reconciler.manifest.sources import Resolver
from reconciler.observe import observe
from reconciler.plan import Options, plan
from reconciler.sandbox import Response, Sandbox
from reconciler.states import Desired


@dataclass
class Time:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds


def _gate(time: Time, **more: Any) -> Gate:
    return Gate(clock=time, sleep=time.sleep, **more)


def _headers(left: int, seconds: int, quota: int = 1_200) -> dict[str, str]:
    return {"ratelimit": f'"default";r={left};t={seconds}', "ratelimit-policy": f'"default";q={quota};w=300'}


def test_it_is_open_until_something_is_known() -> None:
    time = Time()
    gate = _gate(time)
    assert [gate.pass_through() for _ in range(2_000)] == [True] * 2_000
    assert time.slept == []


def test_a_fifth_of_the_window_is_left_to_others() -> None:
    time = Time()
    gate = _gate(time)
    gate.learn(_headers(250, 100))
    for _ in range(10):
        gate.pass_through()
    assert time.slept == []
    gate.pass_through()
    assert time.slept == [100.0]
    gate.pass_through()
    assert len(time.slept) == 1


def test_one_429_holds_everybody_up() -> None:
    time = Time()
    gate = _gate(time)
    gate.close(30)
    gate.close(10)
    gate.pass_through()
    assert time.slept == [30.0]


def test_waiting_has_a_limit_and_says_so_before() -> None:
    time, told = Time(), []
    gate = _gate(time, tell=told.append, max_wait=50)
    gate.close(40)
    gate.pass_through()
    assert "waiting 40 s" in told[0]
    gate.close(20)
    with pytest.raises(RateLimitedError, match="20 s"):
        gate.pass_through()
    assert time.slept == [40.0]


def test_a_run_that_is_stopped_sends_nothing_more() -> None:
    gate = Gate(clock=lambda: 0.0, sleep=lambda _: True)
    gate.close(10)
    assert gate.pass_through() is False


@pytest.mark.parametrize("headers", [{}, {"ratelimit": "odd"}, {"ratelimit": "r=x;t=y"}, {"ratelimit-policy": "q=;w="}])
def test_odd_headers_are_passed_over(headers: dict[str, str]) -> None:
    time = Time()
    gate = _gate(time)
    gate.learn(headers)
    assert gate.pass_through()
    assert time.slept == []


@pytest.mark.parametrize(("requests", "seconds"), [(100, 0), (960, 0), (961, 300), (1_500, 300), (1_921, 600)])
def test_the_outlook_before_anything_is_known(requests: int, seconds: float) -> None:
    assert _gate(Time()).outlook(requests) == seconds


def test_the_outlook_in_a_window() -> None:
    gate = _gate(Time())
    gate.learn(_headers(340, 100))
    assert gate.outlook(100) == 0
    assert gate.outlook(101) == 100
    assert gate.outlook(100 + 961) == 400


@dataclass
class Limiting:
    """1,200 requests a window of 300 s over the sandbox; past that 429 until the window ends."""

    time: Time
    sandbox: Sandbox = field(default_factory=Sandbox)
    quota: int = 1_200
    ends: float = 0.0
    left: int = 0
    refused: int = 0
    sent: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, method: str, path: str, query: Any, headers: Any, body: bytes) -> Response:
        with self.lock:
            if self.time.now >= self.ends:
                self.ends, self.left = self.time.now + 300, self.quota
            self.sent += 1
            seconds = max(1, int(self.ends - self.time.now))
            if self.left <= 0:
                self.refused += 1
                text = b'{"success": false, "errors": [], "messages": [], "result": null}'
                return Response(status=429, headers={"retry-after": str(seconds)}, body=text)
            self.left -= 1
            more = {
                "ratelimit": f'"default";r={self.left};t={seconds}',
                "ratelimit-policy": f'"default";q={self.quota};w=300',
            }
        answer = self.sandbox.handle(method, path, query, headers, body)
        kept = {name: value for name, value in answer.headers.items() if not name.lower().startswith("ratelimit")}
        return Response(status=answer.status, headers={**kept, **more}, body=answer.body)


def test_three_hundred_workers_against_a_window_of_1200(tmp_path: Path) -> None:
    """Finished, and no 429 at all: the window is kept, and a fifth of it left."""
    names = [f"w{number}" for number in range(300)]
    time = Time()
    server = Limiting(time)
    server.sandbox.seed(
        {
            "workers": [{"id": name} for name in names],
            "connections": [
                {"provider_account_id": "1", "provider_account_name": "a", "repo_id": "2", "repo_name": "b"}
            ],
            "build_tokens": [{"build_token_name": "t", "cloudflare_token_id": "1"}],
            "triggers": [
                {"worker": name, "trigger_name": kind, "branch_includes": includes, "branch_excludes": excludes}
                for name in names
                for kind, includes, excludes in (("production", ["main"], []), ("preview", ["*"], ["main"]))
            ],
        }
    )
    workers = "".join(f"  {name}: {{}}\n" for name in names)
    text = f"version: 1\nowner: acme\nworkers:\n{workers}"
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    told: list[str] = []
    api = Api(
        base_url="http://limiting/client/v4",
        account_id=story.ACCOUNT,
        token="t",
        handler=server,
        clock=time,
        sleep=time.sleep,
        tell=told.append,
    )
    desired = load([str(tmp_path / "m.yaml")], Resolver({}))
    observed = observe(desired, api)
    decided = plan(desired, observed, Options())
    assert decided.unread == ()
    assert observed.reads == server.sent == 1 + 300 + 600
    again = observe(desired, api)
    assert again.unread == ()
    assert server.refused == 0
    assert server.left >= 1_200 * 0.2 - 16
    assert [text for text in told if "waiting" in text]


def test_a_limiting_server_is_asked_once_more_at_most_by_each_thread(tmp_path: Path) -> None:
    """Without headers nothing can be known before the first 429: then one wait for all."""
    time = Time()
    server = Limiting(time, quota=20)
    server.sandbox.seed({"workers": [{"id": "web"}]})

    def silent(*request: Any) -> Response:
        answer = server(*request)
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("ratelimit")}
        return Response(status=answer.status, headers=kept, body=answer.body)

    api = Api(
        base_url="http://limiting/client/v4",
        account_id=story.ACCOUNT,
        token="t",
        handler=silent,
        clock=time,
        sleep=time.sleep,
    )
    for _ in range(50):
        api.get(Worker.read(), Worker.decode)
    assert server.refused == 2


def test_worlds_never_wait(tmp_path: Path) -> None:
    """The harness of the laws sleeps for no time, and goes on all the same."""
    case = story.load(story.CASES / "create.yaml")
    world = World.of(case, tmp_path)
    for _ in range(3):
        world.plan()
    assert world.writes == []


def test_nan_is_no_limit_to_pass() -> None:
    gate = _gate(Time(), max_wait=float("nan"))
    gate.close(40)
    with pytest.raises(RateLimitedError):
        gate.pass_through()


@pytest.mark.parametrize("tag", ["", "tag: {}, "])
def test_a_long_run_says_before_how_long_it_will_wait(tmp_path: Path, tag: str) -> None:
    """Whether the Workers' tags are looked up or given."""
    names = [f"w{number}" for number in range(600)]
    bodies = {name: tag.format(story.tag(name)) for name in names}
    trigger = "triggers: {production: {branch_includes: [main], deploy_command: x}}"
    head = 'version: 1\nowner: null\nconnections: {a/b: {provider_account_id: "1", repo_id: "2"}}\n'
    head += "defaults: {build_token_uuid: 22222222-0000-4000-8000-000000000001}\nworkers:\n"
    text = head + "".join(f"  {name}: {{{body}{trigger}}}\n" for name, body in bodies.items())
    (tmp_path / "m.yaml").write_text(text)
    desired = load([str(tmp_path / "m.yaml")], Resolver({}))
    assert _told(names, desired) == "about 1200 requests are to be sent, which takes 300 s of the rate limit"


def test_a_look_at_the_whole_account_says_before_how_long_it_will_wait() -> None:
    """Nothing is declared: a Worker has a production and a preview trigger, where nobody knows better."""
    told = _told([f"w{number}" for number in range(450)], Desired(owner="acme"), everything=True)
    assert told == "about 1350 requests are to be sent, which takes 300 s of the rate limit"


def _told(names: list[str], desired: Desired, *, everything: bool = False) -> str:
    """The first thing that a look at an account with these Workers says."""
    told: list[str] = []
    sandbox, time = Sandbox(), Time()
    sandbox.seed({"workers": [{"id": name} for name in names]})
    api = Api(
        base_url="http://sandbox/client/v4",
        account_id=story.ACCOUNT,
        token="t",
        handler=sandbox.handle,
        tell=told.append,
        clock=time,
        sleep=time.sleep,
    )
    with api:
        observe(desired, api, everything=everything)
    return told[0]


@pytest.mark.parametrize("retry_after", ["0", "-3", "", "1", "5"])
def test_whatever_retry_after_says_there_is_no_storm(retry_after: str) -> None:
    """The limit lasts for 12 s and the API says less: one request is tried at a time, in ever longer intervals."""
    time, refused = Time(), []
    sandbox = Sandbox()
    names = [f"w{number}" for number in range(100)]
    sandbox.seed({"workers": [{"id": name} for name in names]})
    begun = threading.Barrier(16, timeout=10)

    def handler(method: str, path: str, query: Any, headers: Any, body: bytes) -> Response:
        if "/builds/workers/" in path and time.now < 12:
            refused.append(path)
            if len(refused) <= 16:
                begun.wait()  # as many as there are connections are under way when it begins
            return Response(status=429, headers={"retry-after": retry_after}, body=b"{}")
        answer = sandbox.handle(method, path, query, headers, body)
        kept = {name: value for name, value in answer.headers.items() if not name.lower().startswith("ratelimit")}
        return Response(status=answer.status, headers=kept, body=answer.body)

    url = "http://sandbox/client/v4"
    with Api(base_url=url, account_id=story.ACCOUNT, token="t", handler=handler, clock=time, sleep=time.sleep) as api:
        observed = observe(Desired(owner=None), api, everything=True)
    assert observed.unread == ()
    assert len(refused) <= 16 + 5


def test_a_limit_that_never_ends_ends_the_run() -> None:
    time, refused = Time(), []

    def handler(*request: Any) -> Response:
        refused.append(request)
        return Response(status=429, headers={}, body=b"{}")

    url = "http://sandbox/client/v4"
    with Api(base_url=url, account_id=story.ACCOUNT, token="t", handler=handler, clock=time, sleep=time.sleep) as api:
        for _ in range(20):
            with pytest.raises(RateLimitedError):
                api.get(Worker.read(), Worker.decode)
    assert len(refused) == 2 * MAX_REFUSALS + 1


def test_two_windows_in_which_nothing_is_let_through_end_the_run() -> None:
    """Retry-After is as long as a window: whoever waits is told each time, and not for most of an hour."""
    time, told, refused = Time(), [], []

    def handler(*request: Any) -> Response:
        refused.append(request)
        return Response(status=429, headers={"retry-after": "300"}, body=b"{}")

    url = "http://sandbox/client/v4"
    with Api(
        base_url=url,
        account_id=story.ACCOUNT,
        token="t",
        handler=handler,
        clock=time,
        sleep=time.sleep,
        tell=told.append,
    ) as api:
        for _ in range(20):
            with pytest.raises(RateLimitedError):
                api.get(Worker.read(), Worker.decode)
        with pytest.raises(RateLimitedError, match="let nothing through, 3 times in 600 s"):
            api.get(Worker.read(), Worker.decode)
    assert len(refused) == 3
    assert time.now == 600
    assert len(told) == 2
