"""A command line in a process of its own that starts as fast as a fork: a server has it imported already."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["reconciler.cli.apply", "reconciler.observe", "reconciler.apply", "reconciler.render.json"]
)


def start(arguments: list[str], environment: dict[str, str], folder: Path) -> BaseProcess:
    """It runs in `folder`; what it prints goes to `printed` there. To be joined."""
    process = _FORKS.Process(target=_run, args=(arguments, environment, str(folder)))
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    from reconciler import cli

    os.chdir(folder)
    os.environ.update(environment)
    printed = os.open("printed", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    sys.exit(cli.run(arguments))
