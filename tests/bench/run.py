"""`make bench`: everything as ratios, side by side in one run, as a table and as `results.json`.

`--readme` writes the table into the README as well. Commands are whole processes, from their start to their end, and
take turns; each figure is the median of `ROUNDS`.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import estate

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
ROUNDS = 5
LATENCY = 50  # ms
WORKERS, CHANGED = 300, 100
SIZES = (125, 250, 500, 1000, 2000)
LIBRARIES = ("http_client", "urllib3", "httpx_threads", "httpx_async", "aiohttp", "pycurl")
MARKS = ("<!-- bench -->", "<!-- end of bench -->")


@dataclass
class Row:
    """A line of the table; `met` is None where there is no goal."""

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


@dataclass
class Bench:
    folder: Path
    rows: list[Row] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def row(self, *columns: Any, **more: Any) -> None:
        self.rows.append(Row(*columns, **more))
        print(line(self.rows[-1]), flush=True)

    def ratio(self, what: str, took: Sequence[float], other: str, reference: Sequence[float], most: float) -> None:
        found = median(took) / median(reference)
        beside = f"{other}, {seconds(reference)}"
        self.row(what, seconds(took), beside, found, f"≤ {most}", round(found, 2) <= most)


@dataclass
class Ran:
    wall: float
    megabytes: float
    out: str


def seconds(took: Sequence[float]) -> str:
    found = median(took)
    return f"{found:.2f} s" if found >= 1 else f"{found * 1000:.0f} ms"


def run(
    *command: str | Path, port: int = 0, more: Mapping[str, str] | None = None, codes: tuple[int, ...] = (0,)
) -> Ran:
    """A process with nothing of ours in its environment but what is named."""
    environment = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), **estate.ENVIRONMENT, **(more or {})}
    if port:
        environment |= {"CLOUDFLARE_API_TOKEN": "bench", "CLOUDFLARE_ACCOUNT_ID": estate.ACCOUNT}
        environment |= {"CLOUDFLARE_API_BASE_URL": f"http://127.0.0.1:{port}/client/v4"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(one) for one in command], env=environment, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    if process.returncode not in codes:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{text[-2000:]}")
    return Ran(wall, used.ru_maxrss / 1024, text)


@contextmanager
def serving(answers: Path, milliseconds: int) -> Iterator[int]:
    command = [sys.executable, str(HERE / "server.py"), str(answers), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def counted(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}/count") as answer:
        return json.loads(answer.read())


def buildsctl(*arguments: str | Path, port: int = 0, **more: Any) -> Ran:
    return run(BIN / "buildsctl", *arguments, port=port, **more)


def prepared(folder: Path, workers: int, *, changed: int = 0) -> None:
    """`same`, `changed` and `answers.json`, for so many Workers."""
    estate.write_manifests(folder / "same", workers)
    if changed:
        estate.write_manifests(folder / "changed", workers, changed=changed)
    (folder / "answers.json").write_text(json.dumps(estate.answers(folder / "same")))


def jobs(folder: Path, patches: Sequence[Sequence[Any]]) -> None:
    """What the floor sends: for a plan the reads, for an apply just what an apply was seen to write."""
    for name, writes in (("plan", []), ("apply", patches)):
        (folder / f"{name}.json").write_text(json.dumps({"prefix": estate.PREFIX, "writes": writes}))


def patches(folder: Path) -> list[Any]:
    """For each changed trigger its PATCH, then that of its marker, as an apply writes them."""
    read = {
        path: json.loads(text)["result"] for path, text in json.loads((folder / "answers.json").read_text()).items()
    }
    tags = {one["id"]: one["tag"] for one in read[f"{estate.PREFIX}/workers/scripts"]}
    found = []
    for number in range(CHANGED):
        trigger = read[f"{estate.PREFIX}/builds/workers/{tags[estate.name(number)]}/triggers"][0]
        path = f"{estate.PREFIX}/builds/triggers/{trigger['trigger_uuid']}"
        marker = read[f"{path}/environment_variables"]["BUILDSCTL"]["value"]
        body = {"BUILDSCTL": {"is_secret": False, "value": marker}}
        found.append([["PATCH", path, {"build_command": "make"}], ["PATCH", f"{path}/environment_variables", body]])
    return found


def network(bench: Bench) -> None:
    """Plan and apply beside the floor: the best library of a first round goes on with the next best."""
    folder = bench.folder / "network"
    prepared(folder, WORKERS, changed=CHANGED)
    jobs(folder, patches(folder))
    with serving(folder / "answers.json", LATENCY) as port:

        def floor(library: str, job: str) -> float:
            return run(sys.executable, HERE / "floors.py", library, str(port), folder / f"{job}.json").wall

        for job, arguments, what, most in (
            ("plan", ("plan", folder / "same"), "plan without changes", 1.15),
            ("apply", ("apply", "--auto-approve", folder / "changed"), f"apply of {CHANGED} changed triggers", 1.2),
        ):
            took = {library: [floor(library, job)] for library in LIBRARIES}
            best = sorted(LIBRARIES, key=lambda one: took[one][0])[:2]
            ours = []
            for _ in range(ROUNDS):
                ours.append(buildsctl(*arguments, port=port).wall)
                for library in best:
                    took[library].append(floor(library, job))
            first = min(best, key=lambda one: median(took[one]))
            bench.raw[job] = {"buildsctl": ours, "floor": took}
            size = f": {WORKERS} Workers, {2 * WORKERS} triggers, {20 * WORKERS:,} variables"
            bench.ratio(what + size * (job == "plan"), ours, f"floor: {first}", took[first], most)
        peers(bench, folder, port)
    requests(bench, folder)


def requests(bench: Bench, folder: Path) -> None:
    """What was sent, what would have been enough, and what the command itself said."""
    reads = 1 + 1 + WORKERS + 2 * WORKERS
    with serving(folder / "answers.json", 0) as port:
        for command, arguments, least in (
            ("plan", (folder / "same",), {"GET": reads}),
            ("apply", ("--auto-approve", folder / "changed"), {"GET": reads, "PATCH": 2 * CHANGED}),
            ("drift", (folder / "same",), {"GET": reads}),
        ):
            buildsctl(command, *arguments, "--out", folder / "out.json", port=port)
            sent, told = counted(port), json.loads((folder / "out.json").read_text())["requests"]
            said = told["read"] + told.get("write", 0)
            exact = sent == least and said == sum(sent.values())
            bench.row(
                f"requests of {'an apply' if command == 'apply' else f'a {command}'}",
                f"{sum(sent.values()):,}",
                f"the least: {sum(least.values()):,}; it said {said:,}",
                sum(sent.values()) / sum(least.values()),
                "exactly",
                exact,
            )


def pure(bench: Bench) -> None:
    """Load, merge, validate, decide and render, in CPU seconds of one thread."""
    took: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    for size in SIZES:
        prepared(bench.folder / str(size), size)
    for _ in range(ROUNDS):
        for size in SIZES:
            folder = bench.folder / str(size)
            ran = run(sys.executable, HERE / "pure.py", folder / "same", folder / "answers.json")
            took[size].append(json.loads(ran.out))
    bench.raw["pure"] = took
    whole = {size: median(sum(one.values()) for one in found) for size, found in took.items()}
    parts = {name: median(one[name] for one in took[500]) for name in took[500][0]}
    told = ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
    what = "pure work: 500 Workers, 1,000 triggers, 10,000 variables in 501 files"
    bench.row(what, f"{whole[500]:.2f} s", told, None, "≤ 1.0 s", whole[500] <= 1.0)
    logs = [(math.log(size), math.log(spent)) for size, spent in whole.items()]
    middle = [sum(one[side] for one in logs) / len(logs) for side in (0, 1)]
    slope = sum((x - middle[0]) * (y - middle[1]) for x, y in logs) / sum((x - middle[0]) ** 2 for x, _ in logs)
    each = ", ".join(f"{1000 * spent / size:.2f}" for size, spent in whole.items())
    names = ", ".join(f"{size:,}" for size in SIZES)
    what = f"its growth over {names} Workers"
    bench.row(what, f"Workers^{slope:.2f}", f"ms a Worker: {each}", None, "linear (≤ 1.1)", slope <= 1.1)
    folder = bench.folder / "500"
    with serving(folder / "answers.json", 0) as port:
        spent = [buildsctl("plan", folder / "same", port=port).megabytes for _ in range(ROUNDS)]
    bench.row("peak memory of a plan of them", f"{median(spent):.0f} MB", "", None, "≤ 150 MB", median(spent) <= 150)


def start_up(bench: Bench) -> None:
    quickstart = estate.ROOT / "examples" / "quickstart"
    completing = {"_BUILDSCTL_COMPLETE": "bash"}
    commands = {
        'python -c "import click"': lambda: run(sys.executable, "-c", "import click"),
        "`--version`": lambda: buildsctl("--version"),
        "`--help`": lambda: buildsctl("--help"),
        "TAB on a command's name": lambda: buildsctl("buildsctl pl", "pl", more=completing),
        "`validate` of the quickstart": lambda: buildsctl("validate", quickstart),
    }
    if "plan" not in commands["TAB on a command's name"]().out:
        raise SystemExit("the completion does not know `plan`")
    took: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(3 * ROUNDS + 1):
        for name, start in commands.items():
            wall = start().wall
            took[name] += [wall] if turn else []  # the first writes byte code
    bench.raw["start-up"] = took
    (reference, least), *rest = took.items()
    for name, found in rest:
        bench.ratio(name, found, f"`{reference}`", least, 3.0 if "validate" in name else 1.6)


def peers(bench: Bench, folder: Path, port: int) -> None:
    """The same reads by other tools, with a provider written for it."""
    here = {"BENCH_PORT": str(port), "BENCH_PREFIX": estate.PREFIX, "PYTHONPATH": str(HERE / "peers")}
    into = {name: folder / name for name in ("octodns", "terraform")}
    terraform = shutil.which("terraform")
    rc = {"TF_CLI_CONFIG_FILE": str(into["terraform"] / "terraformrc")}
    commands: dict[str, Any] = {
        "octodns": lambda: run(BIN / "octodns-sync", "--config-file", into["octodns"] / "config.yaml", more=here),
        "terraform": terraform
        and (
            lambda: run(
                terraform,
                f"-chdir={into['terraform']}",
                "plan",
                "-detailed-exitcode",
                "-parallelism=16",
                more=here | rc,
            )
        ),
    }
    missing = {"octodns": "octoDNS is not installed", "terraform": "no terraform binary"}
    there = [name for name in commands if commands[name] and (name != "octodns" or (BIN / "octodns-sync").exists())]
    for name in there:
        into[name].mkdir()
        prepare = HERE / "peers" / "prepare.py"
        run(sys.executable, prepare, folder / "answers.json", into[name], estate.PREFIX, name, more=here)
    took: dict[str, list[float]] = {name: [] for name in there}
    sent: dict[str, int] = {}
    for _ in range(ROUNDS):
        for name in there:
            counted(port)
            took[name].append(commands[name]().wall)
            sent[name] = sum(counted(port).values())
    bench.raw["peers"] = took
    ours = bench.raw["plan"]["buildsctl"]
    for name, title in (("octodns", "octoDNS"), ("terraform", "Terraform")):
        what = f"the same plan by {title}, with a provider of its own"
        if name not in there:
            bench.row(what, f"skipped: {missing[name]}")
            continue
        ratio = median(took[name]) / median(ours)
        bench.row(what, f"{seconds(took[name])}, {sent[name]:,} requests", f"buildsctl, {seconds(ours)}", ratio)


def line(row: Row) -> str:
    verdict = {None: "", True: "yes", False: "**no**"}[row.met]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return f"| {row.what} | {row.measured} | {row.beside} | {ratio} | {row.goal} | {verdict} |"


def table(bench: Bench, load: float) -> str:
    today = datetime.date.today().isoformat()
    made = (
        f"`make bench` on {today}: {os.cpu_count()} cores, CPython {platform.python_version()}, load {load:.1f} before"
    )
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        made += "; at real-time priority (`chrt`), as the machine had other work"
    head = "| what | measured | beside it | ratio | goal | met |\n| --- | --- | --- | --- | --- | --- |"
    all_floors = bench.raw.get("plan", {}).get("floor", {})
    floors = ", ".join(
        f"{name} {seconds(took)}" for name, took in sorted(all_floors.items(), key=lambda one: median(one[1]))
    )
    return (
        f"{made}:\n\n{head}\n"
        + "\n".join(map(line, bench.rows))
        + f"\n\nFloors of the plan, all but two of one run: {floors}.\n"
    )


def main() -> None:
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for part in (start_up, network, pure):
            part(bench)
    text = table(bench, load)
    print(f"\n{text}")
    facts = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "load before": load}
    results = {**facts, "rows": [asdict(one) for one in bench.rows], "raw": bench.raw}
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if "--readme" in sys.argv:
        readme = estate.ROOT / "README.md"
        before, rest = readme.read_text().split(MARKS[0])
        readme.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{rest.split(MARKS[1])[1]}")


main()
