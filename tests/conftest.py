"""What every test shares: two options, an environment without settings, and counts for the summary."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest

_TRIED: Counter[str] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the cases produce into them")
    parser.addoption("--thorough", action="store_true", help="try all of what is otherwise tried in part")
    parser.addoption("--soak", type=int, default=0, help="so many seconds of random examples, beside the fixed ones")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: only with --thorough")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--thorough"):
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What tests say they tried (`record_property("tried: …", 12)`), from every process, comes together here."""
    if report.when == "call":
        _TRIED.update({name: int(str(n)) for name, n in report.user_properties if name.startswith("tried: ")})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(_TRIED.items()):
        terminalreporter.write_line(f"{name} {count:,}")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether a round of examples is the fixed one: first that, then random ones until the time is up."""

    def going() -> Iterator[bool]:
        yield True
        end = time.monotonic() + request.config.getoption("--soak")
        while time.monotonic() < end:
            yield False

    return going()


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Try all of a matrix, not only the part that `make test` has time for."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("BUILDSCTL_", "CLOUDFLARE_", "GITHUB_", "GH_")):
            monkeypatch.delenv(name)


def pytest_collection_finish() -> None:
    """What is there before the first test stays: collecting garbage, which some tests wait for, need not look at it."""
    gc.collect()
    gc.freeze()
