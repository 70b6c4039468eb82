"""A real process reads logs as bad as builds can make them: the terminal stays whole, and memory does not grow."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import fake_server
import pytest
from fake_server import Answer, Call, FakeServer

UUID = "33333333-0000-4000-8000-000000000001"
PAGE = 2_000  # lines
MEASURED = (
    "import atexit, pathlib; status = pathlib.Path('/proc/self/status');"
    "atexit.register(lambda: pathlib.Path('peak').write_text(status.read_text() if status.exists() else ''));"
    "from reconciler.cli import main; main()"
)
# What could move a cursor, ring, turn the direction, hide, or break a line; half a surrogate pair breaks an encoder.
BINARY = "".join(map(chr, range(256))) + "\u2028\u2029\u200b\u200f\u202e\u2066\ufeff\udc00\ud800\U000e0001é✔\U0001f980"
ANSI = "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x9b31m"
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u200b-\u200f\u2066-\u2069\ufeff\ud800-\udfff\U000e0001]")
Line = Callable[[int], str]


def log(count: int, line: Line) -> Callable[[Call], Answer]:
    """A log of so many lines; at its end `truncated` stays set, as it does live."""

    def page(call: Call) -> Answer:
        first = int(call.query.get("cursor", "0"))
        numbers = range(first, min(first + PAGE, count))
        lines = [[1_700_000_000_000 + number, f"{number} {line(number)}"] for number in numbers]
        return fake_server.envelope({"cursor": str(first + len(lines)), "lines": lines, "truncated": True})

    return page


def mixed(number: int) -> str:
    return (ANSI, BINARY, "npm run build " * 6, "\r\n", "✔ done \x1b[K")[number % 5]


class Reader:
    """`builds logs` as a process of its own."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server, self.folder = server, folder

    @contextlib.contextmanager
    def reading(self, count: int, line: Line, *arguments: str) -> Iterator[tuple[int, TextIO]]:
        """Its peak of memory in bytes, 0 where nobody tells, and what it printed."""
        self.server.on("GET", rf"/builds/builds/{UUID}/logs", log(count, line))
        command = [sys.executable, "-c", MEASURED, "builds", "logs", UUID, *arguments]
        environment = fake_server.environment(self.server, PYTHONPATH=str(Path(__file__).parents[1]))
        out = self.folder / "out"
        with out.open("w") as file:
            ran = subprocess.run(
                command, env=environment, cwd=self.folder, stdout=file, stderr=subprocess.PIPE, check=False, timeout=300
            )
        assert (ran.returncode, ran.stderr) == (0, b"")
        peak = re.search(r"VmHWM:\s+(\d+) kB", (self.folder / "peak").read_text())
        with out.open(encoding="utf-8", newline="\n") as file:
            yield int(peak[1]) * 1024 if peak else 0, file


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with fake_server.serving() as server:
        yield Reader(server, tmp_path)


def test_a_long_log_of_anything_streams(reader: Reader, thorough: bool) -> None:
    with reader.reading(2 * PAGE, mixed) as (small, _):
        pass
    count, number = 1_000_000 if thorough else 100_000, -1
    with reader.reading(count, mixed) as (large, lines):
        for number, shown in enumerate(lines):
            assert shown.startswith("2023-11-14T22:")
            assert shown[26:].startswith(f"{number} ")
            assert not HARMFUL.search(shown[:-1]), shown
    assert number == count - 1
    assert large - small < 10_000_000


def test_a_line_of_ten_megabytes(reader: Reader) -> None:
    with reader.reading(10, mixed) as (small, _):
        pass
    with reader.reading(3, lambda number: "\x1b[31m" * 2_000_000 if number == 1 else "short") as (large, lines):
        shown = list(lines)
    assert [len(one) < 30_000 for one in shown] == [True, True, True]
    assert shown[1].endswith(" more characters)\n")
    assert not HARMFUL.search("".join(shown).replace("\n", ""))
    assert large - small < 80_000_000, "it takes a few times its length, once"


def test_json_is_as_the_build_printed_it(reader: Reader) -> None:
    with reader.reading(1_000, mixed, "--format", "json") as (_, lines):
        assert [json.loads(one)["line"] for one in lines] == [f"{number} {mixed(number)}" for number in range(1_000)]
