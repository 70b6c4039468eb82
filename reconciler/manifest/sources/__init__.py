"""Where secrets come from: one file a source. A source that gives nothing says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.manifest.sources import command, env, file
from reconciler.model import Secret

SOURCES = (env, file, command)
MAX_LENGTH = 5_000  # of a variable's value (field notes, Environment variables)


@dataclass
class Resolver:
    """Turns `value_from` into a `Secret`; the same source is asked once a run.

    `skip` is why no source is called at all: `validate` and `render` never do, `--no-secrets` asks not to.
    `withheld` are the variables of the environment that hold secrets of the set: a command gets none of them.
    """

    environment: Mapping[str, str] = field(repr=False)
    allow_commands: bool = False
    skip: str = ""
    withheld: frozenset[str] = frozenset()
    asked: dict[tuple[str, str], Secret] = field(default_factory=dict, repr=False)

    def resolve(self, value_from: Mapping[str, Any], folder: str, *, allow_empty: bool) -> Secret:
        name, spec = next(iter(value_from.items()))
        source = next(source for source in SOURCES if name == source.NAME)
        # Of a command only its name: arguments may be long, and somebody may have put a secret there.
        called = f"{name} {spec if isinstance(spec, str) else spec[0]}"
        if self.skip:
            return Secret(None, called, self.skip)
        environment = self.environment
        if source is command:
            if not self.allow_commands:
                return Secret(None, called, "needs --allow-commands")
            # What it needs to log in somewhere it may have; not our own tokens, nor the set's other secrets.
            kept = (one for one in environment if not one.startswith(env.RESERVED) and one not in self.withheld)
            environment = {one: environment[one] for one in kept}
        key = (name, f"{folder}\0{spec!r}")
        if key not in self.asked:
            self.asked[key] = source.ask(spec, folder, environment)
        found = self.asked[key]
        if found.value == "" and not allow_empty:
            found = Secret(None, missing="is empty (say `allow_empty: true` if that is meant)")
        elif found.value is not None and len(found.value) > MAX_LENGTH:
            found = Secret(None, missing=f"gives more than {MAX_LENGTH:,} characters, the API takes no more")
        return replace(found, source=called)
