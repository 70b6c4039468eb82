"""Logs of builds: the lines so far, in pages, behind a cursor that is always a tail."""

import base64
import binascii
import json

from reconciler.sandbox import builds, times
from reconciler.sandbox.call import Call
from reconciler.sandbox.envelope import Reply, invalid_query

LINES_PER_PAGE = 100
_MOST_LINE = 10**9


def get(call: Call) -> Reply:
    """`GET /builds/builds/{uuid}/logs`: the lines after the cursor that were logged by now.

    Field notes, *Builds, logs, limits*: there is always a cursor; replayed at the end it gives no lines, with
    `truncated` possibly still set. Here it is still set where the log is longer than a page, so that who goes
    on for as long as `truncated` is set never comes to an end, as with the live API.
    """
    row = builds.require(call)
    first = _line_of(call.query.get("cursor", ""))
    now = times.epoch_ms(call.now)
    logged = [[when, line] for when, line in builds.course_of(row).log if when <= now]
    lines = logged[first : first + LINES_PER_PAGE]
    after = first + len(lines)
    truncated = after < len(logged) or (not lines and len(logged) > LINES_PER_PAGE)
    return Reply(result={"cursor": _cursor(after), "lines": lines, "truncated": truncated})


def _cursor(line: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"line": line}).encode()).rstrip(b"=").decode()


def _line_of(cursor: str) -> int:
    """How many lines come before the cursor; 12013 for what is none of ours."""
    if not cursor:
        return 0
    try:
        held = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError, binascii.Error):
        raise invalid_query() from None
    line = held.get("line") if isinstance(held, dict) else None
    if type(line) is not int or not 0 <= line <= _MOST_LINE:
        raise invalid_query()
    return line
