"""Lay out the picture of a plan: connections, triggers and tokens in three columns, and what ties them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model import Action, Address, Change, Plan
from reconciler.render.escape import clean
from reconciler.render.text import WORDS, shortened, symbol

MOST = 40  # triggers of a whole plan that are drawn one by one, bundles, and boxes of a side column
FEW = 12  # of a larger plan that are: the picture stands before the rows
COLUMNS = (0, 345, 690)  # where each begins
BOX_WIDTH, BOX_HEIGHT, STEP, TOP = 250, 24, 32, 30
FITS = 30  # characters in a box, the sign among them
UNMOVED = " "
STAYS = (UNMOVED, ".")
HOW = {UNMOVED: "", "+": "now ", "-": "no longer "}
FIELDS = {"connection": "repo_connection_uuid", "token": "build_token_uuid"}
Ties = tuple[tuple[str, str, str], ...]
"""What a trigger is tied to: kind, name, and a sign: ` ` stays, `+` comes, `-` goes."""

Side = dict[str, list[tuple[int, str]]]
"""The boxes of a side column: by name the places that are tied to it, each with a sign."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """A name with its sign; `title` is the whole of it."""

    x: int
    y: int
    sign: str
    text: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From one box's right side to the next one's left, with a sign near the trigger where it comes or goes."""

    x: int
    y: int
    x2: int
    y2: int
    sign: str
    place: float

    @property
    def middle(self) -> int:
        return (self.x + self.x2) // 2

    @property
    def spot(self) -> tuple[int, int]:
        """Where the sign stands: at `place`, between 0 and 1, of the curve."""
        t, u = self.place, 1 - self.place
        x = u**3 * self.x + 3 * t * u * self.middle + t**3 * self.x2
        return round(x), round(self.y + (self.y2 - self.y) * (3 * t**2 - 2 * t**3))


@dataclass(kw_only=True)
class Picture:
    """Boxes and edges, from the top down; the side columns are spread out at the end. `workers` are headings with
    their places. `told` says in words what is drawn, `left_out` what is not drawn one by one."""

    signs: Mapping[str, str]
    sides: Mapping[str, Side]
    height: int = TOP
    boxes: list[Box] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    workers: list[tuple[int, int, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    left_out: str = ""
    columns = tuple((x, 16, name) for x, name in zip(COLUMNS, ("connections", "triggers", "tokens"), strict=True))
    width, box_width, box_height = 940, BOX_WIDTH, BOX_HEIGHT

    def add(self, text: str, sign: str, ties: Ties, full: str) -> None:
        self.box(1, self.height, sign, text, full)
        for kind, key, moved in ties:
            self.sides[kind].setdefault(key, []).append((self.height, moved))
        tied = ", ".join(HOW[moved] + key for _, key, moved in ties)
        self.told.append(f"{WORDS[sign]} {full}: {tied or 'tied to nothing that can be told'}.")
        self.height += STEP

    def box(self, column: int, y: int, sign: str, text: str, title: str) -> None:
        short = shortened(clean(text), FITS - len(sign) - 1)
        self.boxes.append(Box(x=COLUMNS[column], y=y, sign=sign, text=f"{sign} {short}".strip(), title=title))

    def spread(self, kind: str, column: int) -> None:
        """The boxes of a side column over the height: those that are tied first, with few crossings."""
        nodes = sorted(self.sides[kind].items(), key=lambda node: not node[1])
        if nodes[MOST:]:
            self.left_out += f"{len(nodes[MOST:])} {kind}{'s' * (len(nodes) - MOST > 1)} found no place. "
        nodes = sorted(
            nodes[:MOST], key=lambda node: sum(y for y, _ in node[1]) / len(node[1]) if node[1] else math.inf
        )
        for number, (key, ties) in enumerate(nodes):
            y = TOP + (2 * number + 1) * (self.height - TOP) // (2 * len(nodes)) - STEP // 2
            self.box(column, y, self.signs.get(key, UNMOVED), key.removeprefix(f"{kind}/"), key)
            for at, sign in ties:
                near = 0.55 if sign == "-" else 0.8  # of the way to the trigger
                left, right, place = (at, y, 1 - near) if column else (y, at, near)
                x, x2 = COLUMNS[column // 2] + BOX_WIDTH, COLUMNS[column // 2 + 1]
                half = BOX_HEIGHT // 2
                self.edges.append(Edge(x=x, y=left + half, x2=x2, y2=right + half, sign=sign, place=place))


def picture(plan: Plan) -> Picture | None:
    """None where there is no trigger. A large plan shows one by one only what changes, or only bundles of what
    is tied to the same connection and token and changes in the same way."""
    variables = Counter(
        one.address.path[:2] for one in plan.changes if one.address.kind == "env" and one.action is not Action.NO_OP
    )
    triggers = [
        (one, "~" if symbol(one) == UNMOVED and one.address.path in variables else symbol(one))
        for one in plan.changes
        if one.address.kind == "trigger"
    ]
    if not triggers:
        return None
    whole = len(triggers) <= MOST
    few = sum(sign not in STAYS for _, sign in triggers) <= FEW
    names = _names(plan)
    signs = {str(one.address): symbol(one) for one in plan.changes if one.address.kind in FIELDS}
    seen = [key for key, sign in signs.items() if whole or sign != UNMOVED]
    sides: dict[str, Side] = {kind: {key: [] for key in seen if key.startswith(f"{kind}/")} for kind in FIELDS}
    drawing = Picture(signs=signs, sides=sides)
    bundles: dict[tuple[str, Ties], list[str]] = {}
    heading = None
    for one, sign in triggers:
        (worker, *path), count, ties = one.address.path, variables[one.address.path], tuple(_ties(one, names))
        if not whole and (sign in STAYS or not few):
            bundles.setdefault((sign, ties), []).append(worker)
            continue
        if worker != heading:
            heading = worker
            drawing.workers.append((COLUMNS[1], drawing.height + 14, shortened(clean(worker), FITS)))
            drawing.height += BOX_HEIGHT
        text = "/".join(path) + (f", {count} variable{'s' * (count > 1)}" if count else "")
        drawing.add(text, sign, ties, full=f"{worker}/{text}")
    if bundles:
        drawing.left_out += "The other triggers" if drawing.boxes else f"The {len(triggers)} triggers"
        drawing.left_out += " are drawn together, by connection, token and what happens to them. "
    ranked = sorted(bundles.items(), key=lambda item: (item[0][0] in STAYS, -len(item[1])))
    for (sign, ties), members in ranked[:MOST]:
        workers = len(set(members))
        text = f"{len(members)} trigger{'s' * (len(members) > 1)}, {workers} Worker{'s' * (workers > 1)}"
        drawing.add(text, sign, ties, full=text)
    if ranked[MOST:]:
        drawing.left_out += f"{sum(len(members) for _, members in ranked[MOST:])} triggers found no place. "
    drawing.height = max(drawing.height, *(TOP + STEP * min(len(side), MOST) for side in drawing.sides.values()))
    drawing.spread("connection", 0)
    drawing.spread("token", 2)
    return drawing


def _names(plan: Plan) -> dict[str, str]:
    """By id what people call it, and the address of an old generation, whose label is its live name."""
    tokens = (one for one in plan.changes if one.address.kind == "token" and one.before)
    live = {f"token `{(one.before or {}).get('build_token_name')}`": str(one.address) for one in tokens}
    return {uuid: live.get(label, label) for uuid, label in plan.labels.items()}


def _ties(change: Change, names: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for kind, name in FIELDS.items():
        refs = ((side or {}).get(name) for side in (change.before, change.after))
        was, now = (names.get(str(ref), str(ref)) if isinstance(ref, str | Address) else "" for ref in refs)
        if was == now or change.action is Action.NO_OP:  # then nothing is done, whatever is wanted
            ties = [(kind, was, UNMOVED)]
        else:
            ties = [(kind, was, "-"), (kind, now, "+")]
        yield from (one for one in ties if one[1])
