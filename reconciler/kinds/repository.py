"""Repository: what Builds sees of it on a branch and in a folder: the one read-only probe of a connection."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Any

from reconciler.kinds.answer import mapping, optional, text_or_blank
from reconciler.kinds.connection import Connection
from reconciler.model import Request

_SHELL = re.compile(r"[$&;|<>()`#\n]")
_RUNNERS = frozenset(["npx", "pnpx", "bunx", "npm", "pnpm", "yarn", "bun", "exec", "dlx", "x", "-y", "--yes", "--"])
_WRANGLER = re.compile(r"(?:.*/)?wrangler(?:@.*)?")
_ELSEWHERE = re.compile(r"--name|--config|--cwd|--env-file|-c|-\w.+")
"""Options after which the name is another one, or comes from another place; and what stands for several options."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A configuration autofill (reference, *Get repository configuration autofill*)."""

    config_file: str = ""
    default_worker_name: str = ""
    env_worker_names: Mapping[str, str] = field(default_factory=dict)
    package_manager: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def read(connection: Connection, branch: str, root_directory: str) -> Request:
        """404 / 12000: Builds cannot reach the repository, the branch or the folder (field notes)."""
        path = ("builds", "repos", connection.provider_type, connection.provider_account_id, connection.repo_id)
        folder = root_directory.strip("/")
        query = (("branch", branch), *((("root_directory", folder),) if folder else ()))
        return Request(method="GET", path=(*path, "config_autofill"), query=query)

    @classmethod
    def decode(cls, result: Any) -> Repository:
        """`null` is a repository that is reached and in which nothing is found."""
        item = mapping({} if result is None else result, "repository")
        return cls(
            config_file=text_or_blank(item, "config_file"),
            default_worker_name=text_or_blank(item, "default_worker_name"),
            env_worker_names=_texts(item, "env_worker_names"),
            package_manager=text_or_blank(item, "package_manager"),
            scripts=_texts(item, "scripts"),
        )

    def worker_name(self, deploy_command: str, variable: str | None) -> str:
        """The name under which Wrangler deploys; empty where nobody can tell.

        `variable` is what `CLOUDFLARE_ENV` says: empty where it is not set, None where it cannot be read. The
        command's own `--env` goes before it.
        """
        environment = _environment(deploy_command, variable)
        if environment is None:
            return ""
        return self.env_worker_names.get(environment, "") if environment else self.default_worker_name


def _environment(deploy_command: str, variable: str | None) -> str | None:
    """The environment in which Wrangler deploys: empty for none, None where the command is more than a plain call."""
    if _SHELL.search(deploy_command):
        return None
    try:
        words = dropwhile(_RUNNERS.__contains__, shlex.split(deploy_command))
    except ValueError:  # a quote that is not closed
        return None
    if not _WRANGLER.fullmatch(next(words, "")):
        return None
    said, rest = variable, []
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("--env", "-e"):
            said = value if equals else next(words, None)
        elif _ELSEWHERE.fullmatch(name):
            return None
        else:
            rest.append(word)
    return said if rest[:1] == ["deploy"] or rest[:2] == ["versions", "upload"] else None


def _texts(item: Mapping[str, Any], name: str) -> dict[str, str]:
    value = optional(item, name, dict, "a map") or {}
    return {str(key): one for key, one in value.items() if isinstance(one, str)}
