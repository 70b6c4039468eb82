"""Lay out the picture of a plan: connections, triggers and tokens in three columns, and what ties them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import Action, Address, Change, Plan, Value
from reconciler.render.escape import clean
from reconciler.render.text import WORDS, symbol
from reconciler.render.value import shortened

MOST = 40  # triggers that are drawn one by one, bundles, and boxes of a side column
COLUMNS = (0, 345, 690)  # where each begins
WIDTH, BOX_WIDTH, BOX_HEIGHT, STEP, TOP = 940, 250, 24, 32, 30
FITS = 30  # characters in a box, the sign among them
UNMOVED = " "
STAYS = (UNMOVED, ".")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A name with its sign; `title` is the whole of it."""

    x: int
    y: int
    sign: str
    text: str
    title: str

    @property
    def word(self) -> str:
        return WORDS[self.sign]


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
    def word(self) -> str:
        return WORDS[self.sign]

    @property
    def middle(self) -> int:
        return (self.x + self.x2) // 2

    @property
    def spot(self) -> tuple[int, int]:
        """Where the sign stands: at `place`, between 0 and 1, of the curve."""
        t, u = self.place, 1 - self.place
        x = u**3 * self.x + 3 * t * u * self.middle + t**3 * self.x2
        return round(x), round(self.y + (self.y2 - self.y) * (3 * t**2 - 2 * t**3))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`columns` and `workers` are headings with their places. `told` says in words what is drawn, `left_out` what
    is not drawn one by one."""

    height: int
    boxes: Sequence[Box]
    columns: Sequence[tuple[int, int, str]]
    workers: Sequence[tuple[int, int, str]]
    edges: Sequence[Edge]
    told: Sequence[str]
    left_out: str
    width: int = WIDTH
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


Ties = tuple[tuple[str, str], ...]
"""What a trigger is tied to, each with a sign: ` ` stays, `+` comes, `-` goes."""


@dataclass(frozen=True, kw_only=True)
class _Trigger:
    worker: str
    name: str
    sign: str
    connections: Ties
    tokens: Ties
    variables: int

    @property
    def bundle(self) -> tuple[str, Ties, Ties]:
        return self.sign, self.connections, self.tokens


def picture(plan: Plan) -> Picture | None:
    """None where there is no trigger. A large plan shows one by one only what changes, or only bundles of what
    is tied to the same connection and token and changes in the same way."""
    triggers = _triggers(plan)
    if not triggers:
        return None
    moving = [one for one in triggers if one.sign not in STAYS]
    alone = triggers if len(triggers) <= MOST else moving if len(moving) <= MOST else []
    chosen = {id(one) for one in alone}
    bundles: dict[tuple[str, Ties, Ties], list[_Trigger]] = {}
    for one in triggers:
        if id(one) not in chosen:
            bundles.setdefault(one.bundle, []).append(one)
    ranked = sorted(bundles.items(), key=lambda item: (item[0][0] in STAYS, -len(item[1])))
    drawing = _Drawing(plan, whole=alone is triggers)
    drawing.one_by_one(alone)
    for (sign, connections, tokens), members in ranked[:MOST]:
        drawing.add(_bundle_name(members), sign, connections, tokens)
    if ranked:
        drawing.left_out += "The other triggers" if alone else f"The {len(triggers)} triggers"
        drawing.left_out += " are drawn together, by connection, token and what happens to them. "
    if ranked[MOST:]:
        drawing.left_out += f"{sum(len(members) for _, members in ranked[MOST:])} triggers found no place. "
    return drawing.done()


def _bundle_name(members: Sequence[_Trigger]) -> str:
    workers = len({one.worker for one in members})
    return f"{len(members)} trigger{'s' * (len(members) > 1)}, {workers} Worker{'s' * (workers > 1)}"


class _Drawing:
    """Boxes and edges as they come, from the top down; the side columns are spread out at the end."""

    def __init__(self, plan: Plan, *, whole: bool) -> None:
        signs = {str(one.address): symbol(one) for one in plan.changes if one.address.kind in ("connection", "token")}
        self.signs = signs
        self.sides: dict[str, dict[str, list[tuple[int, str]]]] = {"connection": {}, "token": {}}
        for key, sign in signs.items():
            if whole or sign != UNMOVED:
                self.sides[key.partition("/")[0]].setdefault(key, [])
        self.y = TOP
        self.boxes: list[Box] = []
        self.workers: list[tuple[int, int, str]] = []
        self.told: list[str] = []
        self.left_out = ""

    def one_by_one(self, triggers: Iterable[_Trigger]) -> None:
        worker = None
        for one in triggers:
            if one.worker != worker:
                worker = one.worker
                self.workers.append((COLUMNS[1], self.y + 14, shortened(clean(worker), FITS)))
                self.y += BOX_HEIGHT
            also = f", {one.variables} variable{'s' * (one.variables > 1)}" if one.variables else ""
            self.add(f"{one.name}{also}", one.sign, one.connections, one.tokens, full=f"{worker}/{one.name}{also}")

    def add(self, text: str, sign: str, connections: Ties, tokens: Ties, full: str = "") -> None:
        self._box(1, self.y, sign, text, full)
        for kind, ties in (("connection", connections), ("token", tokens)):
            for key, moved in ties:
                self.sides[kind].setdefault(key, []).append((self.y, moved))
        how = {UNMOVED: "", "+": "now ", "-": "no longer "}
        tied = ", ".join(how[moved] + key for key, moved in (*connections, *tokens))
        self.told.append(f"{WORDS[sign]} {full or text}: {tied or 'tied to nothing that can be told'}.")
        self.y += STEP

    def done(self) -> Picture:
        height = max(self.y, *(TOP + STEP * min(len(side), MOST) for side in self.sides.values()))
        edges = [*self._side("connection", 0, height), *self._side("token", 2, height)]
        names = zip(COLUMNS, ("connections", "triggers", "tokens"), strict=True)
        return Picture(
            height=height,
            boxes=self.boxes,
            columns=[(x, 16, name) for x, name in names],
            workers=self.workers,
            edges=edges,
            told=self.told,
            left_out=self.left_out,
        )

    def _side(self, kind: str, column: int, height: int) -> Iterable[Edge]:
        """The boxes of a side column, spread over the height: those that are tied first, with few crossings."""
        nodes = sorted(self.sides[kind].items(), key=lambda node: not node[1])
        if nodes[MOST:]:
            self.left_out += f"{len(nodes[MOST:])} {kind}s found no place. "
        nodes = sorted(nodes[:MOST], key=lambda node: _middle(node[1]))
        for number, (key, ties) in enumerate(nodes):
            y = TOP + (2 * number + 1) * (height - TOP) // (2 * len(nodes)) - STEP // 2
            self._box(column, y, self.signs.get(key, UNMOVED), key.removeprefix(f"{kind}/"), key)
            for at, sign in ties:
                mine, theirs, place = y + BOX_HEIGHT // 2, at + BOX_HEIGHT // 2, 0.55 if sign == "-" else 0.8
                if column == 0:
                    yield Edge(x=BOX_WIDTH, y=mine, x2=COLUMNS[1], y2=theirs, sign=sign, place=place)
                else:
                    x, x2 = COLUMNS[1] + BOX_WIDTH, COLUMNS[2]
                    yield Edge(x=x, y=theirs, x2=x2, y2=mine, sign=sign, place=1 - place)

    def _box(self, column: int, y: int, sign: str, text: str, title: str) -> None:
        short = shortened(clean(text), FITS - len(sign) - 1)
        self.boxes.append(Box(x=COLUMNS[column], y=y, sign=sign, text=f"{sign} {short}".strip(), title=title or text))


def _middle(ties: Sequence[tuple[int, str]]) -> float:
    return sum(y for y, _ in ties) / len(ties) if ties else math.inf


def _triggers(plan: Plan) -> list[_Trigger]:
    """Those of the plan, tied to addresses; an id that no manifest names by what people call it."""
    names = dict(plan.labels)
    for one in plan.changes:
        if one.address.kind == "token" and one.before:  # an old generation is a row, and labelled by its live name
            live = f"token `{one.before.get('build_token_name')}`"
            names |= {uuid: str(one.address) for uuid, label in plan.labels.items() if label == live}
    variables: dict[tuple[str, ...], int] = {}
    for one in plan.changes:
        if one.address.kind == "env" and one.action is not Action.NO_OP:
            variables[one.address.path[:2]] = variables.get(one.address.path[:2], 0) + 1
    kinds = ("connection", "token")
    born = {kind: [str(one.address) for one in plan.changes if _is_born(one, kind)] for kind in kinds}
    return [
        _Trigger(
            worker=one.address.path[0],
            name="/".join(one.address.path[1:]),
            sign="~" if symbol(one) == UNMOVED and one.address.path in variables else symbol(one),
            connections=_ties(one, "repo_connection_uuid", names, born["connection"]),
            tokens=_ties(one, "build_token_uuid", names, born["token"]),
            variables=variables.get(one.address.path, 0),
        )
        for one in plan.changes
        if one.address.kind == "trigger"
    ]


def _is_born(change: Change, kind: str) -> bool:
    return change.address.kind == kind and change.action is Action.CREATE


def _ties(change: Change, field: str, names: Mapping[str, str], born: Sequence[str]) -> Ties:
    was, now = (_named((side or {}).get(field), names, born) for side in (change.before, change.after))
    now = was if change.action is Action.NO_OP else now  # nothing is done, whatever is wanted
    ties = ((was, UNMOVED),) if was == now else ((was, "-"), (now, "+"))
    return tuple((key, sign) for key, sign in ties if key)


def _named(value: Value, names: Mapping[str, str], born: Sequence[str]) -> str:
    """A saved plan does not hold which address an id to come belongs to: it is the one that is made, if one is."""
    if isinstance(value, Address):
        return str(value)
    key = names.get(value, value) if isinstance(value, str) else ""
    return born[0] if key == "(known after apply)" and len(born) == 1 else key
