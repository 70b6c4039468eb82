"""Send a `Request`: authentication, envelope, pages, retries, waiting, errors. Only this module knows HTTP.

It follows the API reference for shapes, and the field notes for what really comes back.
"""

from __future__ import annotations

import json
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from reconciler import __version__, answers, errors
from reconciler.deadline import Deadline
from reconciler.gate import Gate, Sleep
from reconciler.model import Address, MarkerDraft, Repeat, Request, Secret, Value

CONNECTIONS = 16  # more make httpx's pool slower, not faster
ATTEMPTS = 5  # of one request
MAX_ANSWER = 50_000_000  # bytes of one answer
MAX_PAGES = 500
PAGE_OUT_OF_RANGE = 12013
CHANGED = "it changed meanwhile: run it again"
CONNECT_SECONDS, READ_SECONDS, TOTAL_SECONDS = 10.0, 60.0, 180.0  # of one request
BACK_OFF_SECONDS, MAX_BACK_OFF_SECONDS = 0.5, 8.0

_RAY = re.compile(r"[^0-9A-Za-z-]")  # what no ray id holds

Handler = Callable[[str, str, Mapping[str, str], Mapping[str, str], bytes], Any]
"""`(method, path, query, headers, body)` to something with `status`, `headers`, `body`: the sandbox."""
T = TypeVar("T")
E = TypeVar("E", bound=errors.ApiError)


class Api:
    """One account of the API. It sends GETs only, until `allow_writes`. `stop` ends all waiting. `trace` is given a
    line for each request, with nothing of its body and no header but the ray id; `tell` a sentence where the run has to
    wait; `progress` what is done, and how many of how many, of 0 where that cannot be counted."""

    def __init__(
        self,
        *,
        base_url: str,
        account_id: str,
        token: str,
        handler: Handler | None = None,
        trace: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep | None = None,
        tell: Callable[[str], None] = lambda _: None,
        progress: Callable[[str, int, int], None] = lambda _, __, ___: None,
        max_wait: float | None = None,
        loopback: bool = False,
    ) -> None:
        self.progress = progress
        self.account_id = account_id
        self.stop = threading.Event()
        self.tell = tell
        sleep = sleep or self.stop.wait
        self.reads = self.writes = 0
        self.date = ""  # of the last answer, as the server says it
        self._may_write = False
        self._lock = threading.Lock()
        self._clock, self._sleep, self._trace = clock, sleep, trace
        self.gate = Gate(clock=clock, sleep=sleep, tell=tell, max_wait=max_wait)
        self._base_url = base_url.rstrip("/")
        try:
            self._client = httpx.Client(
                base_url=self._base_url,
                trust_env=not loopback,  # no proxy for what never leaves this machine, unencrypted
                verify=not (loopback and base_url.startswith("http:")),  # 40 ms for certificates that nobody asks for
                headers={"Authorization": f"Bearer {token}", "User-Agent": f"buildsctl/{__version__}"},
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
                follow_redirects=False,
                transport=httpx.MockTransport(_adapt(handler)) if handler else None,
            )
        except (httpx.InvalidURL, ValueError):
            raise errors.UsageError("the base URL, or that of a proxy, cannot be used") from None
        self._deadline = _limit(self._client)
        # Past the client, which takes as long as all the rest for cookies, redirects and URLs to be joined.
        self._transport = self._client._transport_for_url(httpx.URL(self._base_url))
        self._headers, self._timeout = dict(self._client.headers), {"timeout": self._client.timeout.as_dict()}

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def allow_writes(self, *, allowed: bool = True) -> None:
        """From here on requests other than GET are sent, or no more. Only `apply` says so, after it was approved."""
        self._may_write = allowed

    @contextmanager
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        """Threads to send with, as many as there are connections. An error ends all waiting for the rate limit;
        an interruption does not wait for what is under way."""
        pool = ThreadPoolExecutor(max_workers=CONNECTIONS)
        try:
            yield pool
        except BaseException as error:
            self.stop.set()
            pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
            raise
        pool.shutdown()

    def get(self, request: Request, decode: Callable[[Any], T]) -> T:
        """The answer's `result`, decoded. A result of the wrong shape is an `AnswerError`."""
        return self._decoded(request, self._send(request)[0], decode)

    def pages(self, page: Callable[[int], Request], decode: Callable[[Any], T], key: Callable[[T], str]) -> list[T]:
        """All items of a paginated list, counted against `total_count`. A list that changed while it was read is an
        error: what was not seen must not pass for absent."""
        found: dict[str, T] = {}
        said: int | None = None  # how many there are, by the pages before
        for number, (request, ones, info) in enumerate(self._pages(page, decode), 1):
            total, more = answers.page_info(info, request, len(found) + len(ones))
            if total is not None and said not in (None, total):
                text = f"the list's own count went from {said} to {total} while it was read"
                raise _named(errors.AnswerError(text, hint=CHANGED), request)
            said = total if said is None else said
            repeated = [key(one) for one in ones if key(one) in found]
            if more is None and number == 2 and repeated == list(found):
                break  # whoever ignores `page` gives everything at once
            if repeated:
                raise _named(errors.AnswerError("a page of the list repeats an item", hint=CHANGED), request)
            found |= {key(one): one for one in ones}
            if more is False or not ones:
                break
            if number == MAX_PAGES:
                raise _named(errors.AnswerError(f"the list has more than {MAX_PAGES} pages"), request)
        if said is not None and said != len(found):
            text = f"the list holds {said} items by its own count, {len(found)} were read"
            raise _named(errors.AnswerError(text, hint=CHANGED), page(1))
        return list(found.values())

    def scroll(
        self, page: Callable[[int], Request], decode: Callable[[Any], T], key: Callable[[T], str]
    ) -> Iterator[list[T]]:
        """A list that grows at its head, page by page, as far as somebody reads it. What moved to a later page
        meanwhile comes once; nothing is concluded from what does not come."""
        seen: set[str] = set()
        count = 0
        for request, ones, info in self._pages(page, decode):
            fresh = [one for one in ones if key(one) not in seen]
            seen |= {key(one) for one in fresh}
            count += len(ones)
            yield fresh
            if not fresh or answers.page_info(info, request, count)[1] is False:
                return

    def _pages(
        self, page: Callable[[int], Request], decode: Callable[[Any], T]
    ) -> Iterator[tuple[Request, list[T], Any]]:
        """Request, items and `result_info` of each page. One past the last is asked for only where none said how many
        there are."""
        for number in range(1, MAX_PAGES + 1):
            request = page(number)
            try:
                result, info = self._send(request)
            except errors.RejectedError as error:
                if number > 1 and error.code == PAGE_OUT_OF_RANGE:
                    return
                raise
            items = self._decoded(request, result, answers.items)
            yield request, [self._decoded(request, item, decode) for item in items], info

    def verify(self, secret: Secret) -> Mapping[str, Any]:
        """`{id, status}` of the API token whose value is `secret`, asked under that secret itself. Empty where the API
        does not take it. (Field notes, Access; the path is not under the account.)"""
        if not secret.can_be_token:
            return {}
        request = Request(method="GET", path=("user", "tokens", "verify"))
        try:
            result, _ = self._send(request, bearer=secret)
        except (errors.AuthenticationError, errors.ForbiddenError) as error:
            if not error.code:
                raise  # a gateway's page: the API never saw the secret
            return {}
        if not isinstance(result, dict):
            raise _named(errors.AnswerError("the API's answer is not an object"), request)
        return result

    def write(self, request: Request, decode: Callable[[Any], T]) -> T | None:
        """Send what changes something. A delete answered 404 is done, unless it says that there is no such path."""
        try:
            result, _ = self._send(request)
        except errors.NotFoundError as error:
            if request.method == "DELETE" and error.code not in answers.NO_ROUTE:
                return None
            raise
        return None if request.method == "DELETE" else self._decoded(request, result, decode)

    def _decoded(self, request: Request, result: Any, decode: Callable[[Any], T]) -> T:
        try:
            return decode(result)
        except (errors.AnswerError, errors.IgnoredError) as error:
            raise _named(error, request) from None

    def _send(self, request: Request, *, bearer: Secret | None = None) -> tuple[Any, Any]:
        """`result` and `result_info` of one request, repeated as far as its kind allows."""
        if request.method != "GET" and not self._may_write:
            raise AssertionError(f"{request.method} before writing was allowed")
        unsure: errors.ApiError | None = None  # may have happened, which a later one that was never sent does not undo
        refused = failed = 0
        while True:
            try:
                if not self.gate.pass_through():
                    raise _never_sent(request, "the run was told to stop")
                with self._lock:
                    self.reads += request.method == "GET"
                    self.writes += request.method != "GET"
                return self._once(request, bearer)
            except errors.RateLimitedError as error:
                refused += 1
                if not error.status or not self.gate.close(error.retry_after, times=refused):  # 0: the gate's own
                    raise (unsure or error) from None
            except (errors.GatewayError, errors.NetworkError) as error:
                failed += 1
                again = failed < ATTEMPTS and (request.repeat is Repeat.IDEMPOTENT or error.never_sent)
                limit = min(MAX_BACK_OFF_SECONDS, BACK_OFF_SECONDS * 2**failed)
                pause = random.uniform(0, limit)  # noqa: S311 - jitter, not a secret
                unsure = unsure if error.never_sent else error
                if again:
                    self.progress(f"{error.message}: trying again", 0, 0)
                if not again or self._sleep(pause):
                    raise (unsure or error) from None
            except errors.ApiError as error:
                is_gone = request.method == "DELETE" and isinstance(error, errors.NotFoundError)
                raise (error if is_gone or request.method == "GET" else unsure or error) from None

    def _once(self, request: Request, bearer: Secret | None) -> tuple[Any, Any]:
        started = self._clock()
        status, path, ray, limited = 0, "", "", False
        try:
            path = _path(request.path)
            body = None if request.json is None else json.dumps(_wire(request.json), allow_nan=False).encode()
            more = {"content-type": "application/json"} if body is not None else {}
            url = self._base_url + (path if bearer else f"/accounts/{quote(self.account_id, safe='')}{path}")
            if bearer:
                more["authorization"] = f"Bearer {_wire(bearer)}"
            sent = httpx.Request(
                request.method,
                url,
                params=request.query or None,
                content=body,
                headers=self._headers | more,
                extensions=self._timeout,
            )
            with self._deadline.of(TOTAL_SECONDS), closing(self._transport.handle_request(sent)) as response:
                status, ray = response.status_code, _RAY.sub("", response.headers.get("cf-ray", ""))[:40]
                content = _read(response)
                retry_after = response.headers.get("retry-after", "")
                self.date = response.headers.get("date", "")
                if not bearer:  # another user's token has a window of its own
                    self.gate.learn(response.headers)
            return answers.open_envelope(request, status, ray, content, retry_after)
        except httpx.HTTPError as error:
            raise _named(_network_error(error, self._base_url), request) from None
        except UnicodeError:
            raise _never_sent(request, "the host name cannot be resolved") from None
        except errors.ApiError as error:
            limited = isinstance(error, errors.RateLimitedError)
            raise _named(error, request) from None
        finally:
            if not limited:  # whatever it broke of: the others must not wait for this one
                self.gate.open()
            took = f"{(self._clock() - started) * 1000:.0f} ms"
            self._trace(f"{request.method} {path} {status or 'no answer'} {took}{ray and f' ray {ray}'}")


def fetch_json(url: str, *, token: str = "") -> Any:
    """One GET of another API, for `init`: JSON, no redirects, small. Raises an `ApiError`."""
    headers = {"Accept": "application/json", "User-Agent": f"buildsctl/{__version__}"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    client = httpx.Client(timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS), follow_redirects=False)
    try:
        with _limit(client).of(TOTAL_SECONDS), client, client.stream("GET", url, headers=headers) as response:
            content = _read(response)
            if response.status_code != 200:
                unfit = errors.AnswerError("no answer that is of use")
                unfit.status = response.status_code
                raise unfit
        return json.loads(content)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise errors.AnswerError("the URL cannot be used") from None
    except httpx.HTTPError as error:
        raise _network_error(error, url) from None
    except (ValueError, RecursionError):
        raise errors.AnswerError("the answer is not JSON") from None


def _adapt(handler: Handler) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        try:
            given = handler(
                request.method,
                request.url.raw_path.decode().partition("?")[0],
                dict(request.url.params),
                {name.lower(): value for name, value in request.headers.items()},
                request.read(),
            )
        except ConnectionError as error:  # the sandbox was told to cut the connection
            raise httpx.ReadError(str(error)) from None
        return httpx.Response(given.status, headers=dict(given.headers), content=given.body)

    return answer


def _path(parts: tuple[Address | str, ...]) -> str:
    if any(isinstance(part, Address) or part in ("", ".", "..") for part in parts):
        raise AssertionError(f"a path that is not bound: {parts}")
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _wire(value: Value) -> Any:
    """Plain JSON. Here, and nowhere else, a secret becomes text."""
    match value:
        case Secret():
            if value.value is None:
                raise AssertionError("a secret without a value")
            return value.value
        case Address() | MarkerDraft():
            raise AssertionError(f"a value that is not bound: {value}")
        case tuple():
            return [_wire(one) for one in value]
        case Mapping():
            return {key: _wire(one) for key, one in value.items()}
        case _:
            return value


def _limit(client: httpx.Client) -> Deadline:
    """The library has no public way to a backend: a test with answers that never end keeps this one."""
    deadline = Deadline(time.monotonic)
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = deadline
    return deadline


def _read(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise errors.AnswerError(f"the answer has more than {MAX_ANSWER:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _network_error(error: httpx.HTTPError, url: str) -> errors.NetworkError:
    host = httpx.URL(url).netloc.decode("ascii")
    chain: list[BaseException] = [error]
    while len(chain) < 20 and (cause := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(cause)
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    if any(isinstance(one, socket.gaierror) for one in chain):
        text, hint = f"the host name `{host}` cannot be resolved", "check the network and CLOUDFLARE_API_BASE_URL"
    elif any(isinstance(one, ssl.SSLError) for one in chain):
        text, hint = "TLS failed", "check the clock, and SSL_CERT_FILE where a proxy signs"
    elif isinstance(error, httpx.TimeoutException):
        text, hint = "no answer in time", "run it again; what was done is found by the next run"
    elif never_sent:
        text, hint = f"no connection to `{host}`", "check the network, any proxy, and CLOUDFLARE_API_BASE_URL"
    else:
        text, hint = "the connection was cut", "run it again; what was done is found by the next run"
    result = errors.NetworkError(text, hint=hint)
    result.never_sent = never_sent
    return result


def _never_sent(request: Request, text: str) -> errors.NetworkError:
    error = _named(errors.NetworkError(text), request)
    error.never_sent = True
    return error


def _named(error: E, request: Request) -> E:
    """`error` with the request that met it."""
    error.method, error.path = request.method, _path(request.path)
    if isinstance(error, errors.AnswerError) and not error.hint:
        error.hint = "this is not what the API's reference says: run it again; if it stays, is this the API?"
    return error
