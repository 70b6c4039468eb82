"""Repository: what Builds sees of it on a branch and in a folder: the one read-only probe of a connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import AnswerError
from reconciler.kinds.answer import mapping, text_or_blank
from reconciler.kinds.connection import Connection
from reconciler.model import Request

_ENVIRONMENT = re.compile(r"(?:^|\s)(?:--env|-e)(?:=|\s+)['\"]?([\w.-]+)")


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
        query = (("branch", branch), *((("root_directory", root_directory),) if root_directory.strip("/") else ()))
        return Request(method="GET", path=(*path, "config_autofill"), query=query)

    @classmethod
    def decode(cls, result: Any) -> Repository:
        item = mapping(result, "repository")
        return cls(
            config_file=text_or_blank(item, "config_file"),
            default_worker_name=text_or_blank(item, "default_worker_name"),
            env_worker_names=_texts(item, "env_worker_names"),
            package_manager=text_or_blank(item, "package_manager"),
            scripts=_texts(item, "scripts"),
        )

    def worker_name(self, deploy_command: str, variables: Mapping[str, str]) -> str:
        """The name that Wrangler finds there; empty where the repository does not say.

        That of the environment, where the deploy command or `CLOUDFLARE_ENV` says one (field notes, Workers).
        """
        said = _ENVIRONMENT.search(deploy_command)
        environment = said[1] if said else variables.get("CLOUDFLARE_ENV", "")
        return self.env_worker_names.get(environment, "") if environment else self.default_worker_name


def _texts(item: Mapping[str, Any], name: str) -> dict[str, str]:
    value = item.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AnswerError(f"the API's answer has a `{name}` that is not a map")
    return {str(key): one for key, one in value.items() if isinstance(one, str)}
