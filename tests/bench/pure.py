"""The work of a plan without the network, in CPU seconds: `pure.py MANIFESTS ANSWERS` prints them as JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import estate

from reconciler import ownership
from reconciler.kinds.env_var import EnvVar
from reconciler.kinds.token import Token
from reconciler.kinds.trigger import Trigger
from reconciler.kinds.worker import Worker
from reconciler.plan import Options, plan
from reconciler.render.json import dump, plan_document
from reconciler.render.text import plan_text
from reconciler.states import Observed


def observed(answers: dict[str, str]) -> Observed:
    """What `observe` would have read."""
    read: dict[str, Any] = {path: json.loads(text)["result"] for path, text in answers.items()}
    tags = Worker.decode(read[f"{estate.PREFIX}/workers/scripts"])
    shown = [
        one
        for name, tag in tags.items()
        for one in Trigger.decode(name, read[f"{estate.PREFIX}/builds/workers/{tag}/triggers"])
    ]
    paths = {live.id: f"{estate.PREFIX}/builds/triggers/{live.id}/environment_variables" for live, _ in shown}
    return Observed(
        tags=tags,
        workers=tags,
        connections=tuple({one.id: one for _, one in shown if one}.values()),
        tokens=tuple(Token.decode(one) for one in read[f"{estate.PREFIX}/builds/tokens"]),
        triggers=tuple(live for live, _ in shown),
        variables={uuid: EnvVar.decode(read[path]) for uuid, path in paths.items()},
    )


def main() -> None:
    live = observed(json.loads(Path(sys.argv[2]).read_text()))
    options = Options(key=ownership.read_key(estate.ENVIRONMENT["BUILDSCTL_FINGERPRINT_KEY"]))
    gc.set_threshold(500_000)  # as the command line does
    gc.collect()
    clocks = [time.process_time()]
    wanted = estate.load(Path(sys.argv[1]))
    clocks.append(time.process_time())
    decided = plan(wanted, live, options)
    clocks.append(time.process_time())
    text = plan_text(decided)
    clocks.append(time.process_time())
    dump(plan_document(decided))
    clocks.append(time.process_time())
    assert "No changes" in text, text
    names = ("load, merge, validate", "decide", "render text", "render JSON")
    print(json.dumps({name: clocks[at + 1] - clocks[at] for at, name in enumerate(names)}))


main()
