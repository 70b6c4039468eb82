"""Coverage-guided fuzzing (atheris) of what strangers write: `fuzz.py manifests|answers SECONDS`.

Anything but an error that buildsctl knows is a crash: atheris prints the input and ends with another code than 0.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris
import yaml

with atheris.instrument_imports(include=["reconciler", "yaml"]):
    from reconciler import answers, manifest
    from reconciler.errors import ApiError, BuildsctlError
    from reconciler.kinds.connection import Connection
    from reconciler.kinds.env_var import EnvVar
    from reconciler.kinds.token import Token
    from reconciler.kinds.trigger import Trigger
    from reconciler.kinds.worker import Worker
    from reconciler.model import Request
    from reconciler.ownership import read, read_token_name
    from reconciler.plan import Options, plan
    from reconciler.states import Desired, Observed

HERE = Path(tempfile.mkdtemp())
ROOT = Path(__file__).parents[2]
RESOLVER = manifest.Resolver({}, skip="is not asked")


def manifests(data: bytes) -> None:
    """Whatever stands in a manifest is a list of problems, or wants something that can be planned."""
    (HERE / "m.yaml").write_bytes(data)
    with contextlib.suppress(BuildsctlError):
        found, wanted = manifest.check([str(HERE / "m.yaml")], RESOLVER)
        if not found.problems.failed:
            plan(wanted, Observed(), Options())


def answer(data: bytes) -> None:
    """Whatever the API answers is decoded, or an error of the API; what is decoded can be planned with."""
    head, _, content = data.partition(b"\n")
    status = 100 + int.from_bytes(head[:2], "big") % 500
    request = Request(method="GET", path=("builds", "tokens"), query=(("page", "1"),))
    try:
        result, info = answers.open_envelope(request, status, "", content, head.decode(errors="replace"))
        answers.page_info(info, request, 0)
    except ApiError:
        return
    decoded = []
    for decode in (Worker.decode, EnvVar.decode, Connection.decode, lambda one: Trigger.decode("web", one)):
        try:
            decoded.append(decode(result))
        except ApiError:
            decoded.append(None)
    for one in answers.items(result) if isinstance(result, list) else ():
        with contextlib.suppress(ApiError):
            read_token_name(Token.decode(one).resource.build_token_name)
    _, variables, _, triggers = decoded
    if variables is not None:
        read(variables, "u")
    if triggers:
        lives = tuple(live for live, _ in triggers)
        observed = Observed(tags={"web": "t"}, triggers=lives, variables={"u": variables or {}})
        plan(Desired(owner="acme"), observed, Options(prune=True))


def main() -> None:
    target, seconds = sys.argv[1:3]
    corpus = HERE / "corpus"
    corpus.mkdir()
    texts = [path.read_text() for path in sorted(ROOT.glob("examples/**/*.yaml"))]
    texts += [yaml.safe_load(path.read_text()).get("manifest", "") for path in sorted(ROOT.glob("tests/cases/*.yaml"))]
    for number, text in enumerate(texts):
        (corpus / str(number)).write_text(text)
    trigger = b'{"success":true,"result":[{"trigger_uuid":"u","branch_includes":["main"],"trigger_name":"x"}]}'
    (corpus / "answer").write_bytes(b"\x00\x64\n" + trigger)
    (corpus / "page").write_bytes(
        b"\x00\x64\n" + b'{"success":true,"result":[],"result_info":{"total_count":0,"page":1}}'
    )
    options = [sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"]
    options += [f"-artifact_prefix={HERE}/", "-print_final_stats=1", "-verbosity=0", str(corpus)]
    atheris.Setup(options, {"manifests": manifests, "answers": answer}[target])
    atheris.Fuzz()


main()
