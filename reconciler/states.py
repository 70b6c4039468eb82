"""The two sides that are compared: what the manifests want, and what the API has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.errors import Diagnostic
from reconciler.kinds.connection import Connection
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token, TokenReference
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker
from reconciler.model import Address, Declared, Live, Unread


@dataclass(frozen=True, kw_only=True)
class DeclaredTrigger(Declared[Trigger]):
    """A trigger with its variables, by key."""

    variables: Mapping[str, Declared[EnvVar]] = field(default_factory=dict)

    def ignores(self, name: str) -> bool:
        """Is the trigger field `name` left alone?"""
        return name in self.ignore


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What the manifests want. References between resources are addresses, not yet ids. `empty` is a set that declares
    nothing; `left_out` counts Workers that `--target` leaves out; `witnesses` are those of them that refer to a
    connection that it does not, since connections are seen only inside triggers. `diagnostics` are warnings; errors
    never get this far."""

    owner: str | None
    account_id: str | None = None
    take_over_from: frozenset[str] = frozenset()
    workers: Mapping[str, Declared[Worker]] = field(default_factory=dict)
    connections: tuple[Declared[Connection], ...] = ()
    tokens: tuple[Declared[Token] | Declared[TokenReference], ...] = ()
    triggers: tuple[DeclaredTrigger, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    left_out: int = 0
    witnesses: Mapping[Address, tuple[Declared[Worker], ...]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.workers or self.connections or self.tokens)

    @cached_property
    def by_worker(self) -> Mapping[str, list[DeclaredTrigger]]:
        """The triggers of each Worker that has any."""
        found: dict[str, list[DeclaredTrigger]] = {}
        for one in self.triggers:
            found.setdefault(one.address.path[0], []).append(one)
        return found


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the API has, as far as the manifests are about it. Not a mapping by address: two live objects of one address
    must both stay visible. `tags` holds the declared Workers that exist; `workers` every Worker of the account, where
    they were listed. `variables` is by trigger UUID. What could not be read is in one of the `unread_` fields, and is
    never taken for absence."""

    tags: Mapping[str, str] = field(default_factory=dict)
    workers: Mapping[str, str] | None = None
    connections: tuple[Live[Connection], ...] = ()
    tokens: tuple[Live[Token], ...] = ()
    triggers: tuple[Live[Trigger], ...] = ()
    variables: Mapping[str, Mapping[str, EnvVar]] = field(default_factory=dict)
    newer_surface: frozenset[str] = frozenset()
    unread_scripts: Unread | None = None
    unread_tokens: Unread | None = None
    unread_workers: Mapping[str, Unread] = field(default_factory=dict)
    unread_variables: Mapping[str, Unread] = field(default_factory=dict)
    reads: int = 0

    @cached_property
    def by_worker(self) -> Mapping[str, list[Live[Trigger]]]:
        """The triggers of each Worker that has any."""
        found: dict[str, list[Live[Trigger]]] = {}
        for one in self.triggers:
            found.setdefault(one.scope, []).append(one)
        return found

    @property
    def unread(self) -> tuple[Unread, ...]:
        """Everything that could not be looked at, whatever order the answers came in."""
        lists = [one for one in (self.unread_scripts, self.unread_tokens) if one]
        each = (*self.unread_workers.values(), *self.unread_variables.values())
        return (*lists, *sorted(each, key=lambda one: one.what))
