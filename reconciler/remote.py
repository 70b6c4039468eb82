"""What Git calls things: the address of a remote, a branch, a folder of the repository. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

GITHUB = frozenset({"github.com", "www.github.com", "ssh.github.com"})
MAX_FOLDER = 256  # characters (field notes, Triggers)
_NAME = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]+")
_HOST = re.compile(r"[a-z0-9.:-]+")
_NO_BRANCH = re.compile(
    r"-|(?:HEAD|@)\Z|.*?(?:[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|(?:\A|/)(?:[./]|\Z)|\.(?:lock/|(?:lock)?\Z))",
    re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A repository as its host calls it: `host` in lower case and without a port, `owner` with slashes where
    the host has groups."""

    host: str
    owner: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.owner}/{self.name}"


def read_remote(address: str) -> Remote | None:
    """Of a URL, or `[user@]host:path`; None where it is neither, or not plain. What stands before the host may be a
    password. It ends at the last `@`, and nothing of it is kept."""
    head, _, path = address.partition(":")
    host = head.rpartition("@")[2].lower()
    if "://" in address:
        try:
            parts = urlsplit(address)
        except ValueError:
            return None
        host, path = parts.hostname or "", parts.path
    found = split_path(path.strip("/").removesuffix(".git"))
    return Remote(host=host, owner=found[0], name=found[1]) if found and _HOST.fullmatch(host) else None


def split_path(path: str) -> tuple[str, str] | None:
    """`OWNER/REPO` in two, the owner with slashes where there are groups; None where it is not plain."""
    owner, _, name = path.rpartition("/")
    return (owner, name) if all(_NAME.fullmatch(one) for one in (*owner.split("/"), name)) else None


def provider_of(host: str, github: Collection[str]) -> str:
    """The provider type of what is on `host`, empty where nobody can tell; `github` are GitHub's hosts."""
    if host in github:
        return "github"
    return "gitlab" if "gitlab" in host else ""


def is_branch(name: str) -> bool:
    """As `git check-ref-format --branch` says."""
    return bool(name) and not _NO_BRANCH.match(name)


def folder_of(text: str) -> str:
    """A folder as the API takes it, `/` or relative to the repository's root; empty where it is none in there,
    or no watch path could name it."""
    folder = posixpath.normpath(text.strip("/") or ".")
    odd = folder.partition("/")[0] == ".." or re.search(r"[*\\]", folder) or not folder.isprintable()
    if odd or len(folder) > MAX_FOLDER:
        return ""
    return "/" if folder == "." else folder
