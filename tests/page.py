"""Read an HTML page of ours: the elements and attributes that it has, its rows, its text. And a page to read."""

from __future__ import annotations

import html.parser
from dataclasses import dataclass, field

from reconciler.drift import Kind, Reach, Report, finding
from reconciler.errors import ApiError, BuildsctlError, Diagnostic, Position, Severity
from reconciler.kinds.trigger import Trigger
from reconciler.model import (
    Action,
    Address,
    Cause,
    Change,
    Disposition,
    FieldChange,
    Outcome,
    Plan,
    Refusal,
    Secret,
    Status,
    Unread,
)

EMPTY = {"meta", "input", "path", "rect", "circle"}


@dataclass
class Page(html.parser.HTMLParser):
    """`elements` are (tag, its attributes' names) in order; `attributes` every (name, value); `texts` by tag."""

    elements: list[tuple[str, ...]] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []

    @property
    def text(self) -> list[str]:
        return [one for tag, texts in self.texts.items() if tag not in ("style", "script") for one in texts]

    @classmethod
    def of(cls, text: str) -> Page:
        page = cls()
        page.feed(text)
        page.close()
        assert page.open == []
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.attributes += [(name, value or "") for name, value in attrs]
        if ("class", "address") in attrs:
            self.rows.append("")
        if tag not in EMPTY:
            self.open.append("address" if ("class", "address") in attrs else tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() in (tag, "address"), tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        self.texts.setdefault(inside, []).append(data)
        if inside == "address":
            self.rows[-1] += data

    def handle_comment(self, data: str) -> None:
        self.odd.append(data)

    handle_pi = unknown_decl = handle_comment


def fields(text: str, used: object = "t", **more: object) -> dict[str, object]:
    made = Trigger(
        external_script_id="",
        trigger_name=text,
        repo_connection_uuid="c",
        build_token_uuid=used,
        branch_includes=(text,),
        deploy_command=text,
    )
    return {**made.fields, **more}


def plan(text: str) -> Plan:
    """A plan with every sort of row, and `text` wherever a stranger could have written it."""
    before, after = fields(text, build_command="old"), fields(text, "new")
    differs = (
        FieldChange(path="build_command", before="a\n" + text, after="b\n" + text),
        FieldChange(path="branch_includes", before=(text,), after=(text, "b"), added=(text,), removed=(text + "2",)),
        FieldChange(path="deploy_command", before=text, after=text + "2", cause=Cause.LIVE),
    )
    value = {"is_secret": False, "value": text}

    def trigger(name: str, action: Action, **more: object) -> Change:
        return Change(address=Address.of("trigger", text, name), action=action, **{"reason": text, **more})

    def variable(name: str, action: Action, **more: object) -> Change:
        return Change(address=Address.of("env", text, text, name), action=action, **{"reason": text, **more})

    changes = (
        Change(address=Address.of("connection", text), action=Action.CREATE, before=None, after=value, reason=text),
        Change(address=Address.of("token", text), action=Action.NO_OP, before=value, after=value, reason=text),
        trigger(text, Action.UPDATE, before=before, after=after, fields=differs, cause=Cause.BOTH),
        variable(text, Action.CREATE, before=None, after=value),
        variable("secret", Action.UPDATE, before={"is_secret": False, "value": Secret(None)},
                 after={"is_secret": True, "value": Secret("canary", text)},
                 fields=(FieldChange(path="is_secret", before=False, after=True),)),
        variable("gone", Action.DELETE, before=value, after=None),
        variable("kept", Action.NO_OP, before=value, after=value, disposition=Disposition.KEPT),
        variable("same", Action.NO_OP, before=value, after=value, not_compared=text),
        trigger("replaced", Action.REPLACE, before=before, after=after),
        trigger("deleted", Action.DELETE, before=before, after=None),
        trigger("adopted", Action.UPDATE, before=before, after=before, disposition=Disposition.ADOPT),
        trigger("unknown", Action.NO_OP, before=None, after=after, disposition=Disposition.UNKNOWN),
        trigger("refused", Action.NO_OP, before=before, after=after, disposition=Disposition.REFUSED),
    )  # fmt: skip
    place = Position(filename=text, line=1, column=1)
    error = ApiError(text, hint=text)
    error.path = error.ray = text
    problem = {"summary": text, "detail": text, "hint": text, "address": text, "rule": text, "source_line": text}
    return Plan(
        account_id=text,
        owner=text,
        changes=changes,
        refusals=(Refusal(summary=text, detail=text, hint=text, address=Address.of("token", text)),),
        diagnostics=tuple(Diagnostic(severity=one, position=place, **problem) for one in Severity),
        unread=(Unread(what=text, error=error),),
        labels={"c": text, "t": text, "new": text + "2"},
        target=(text,),
    )


def outcomes(text: str) -> list[Outcome]:
    rows = [one for one in plan(text).changes if one.action is not Action.NO_OP]
    statuses = [*Status] * 2
    return [
        Outcome(address=row.address, action=row.action, status=status, error=text, hint=text)
        for row, status in zip(rows, statuses, strict=False)
    ]


def report(text: str) -> Report:
    decided = plan(text)
    found = [finding(kind, text, text, hint=text, change=row) for kind, row in zip(Kind, decided.changes, strict=False)]
    found.append(finding(Kind.HEALTH, text, text, "alone"))
    gone = {"id": text, "address": text, "summary": text, "kind": text}
    known = frozenset({found[0].id})
    return Report(
        plan=decided,
        findings=tuple(found),
        reach=Reach(),
        known=known,
        gone=(gone,),
        unseen=(gone,),
        compared=True,
        failure=BuildsctlError(text, hint=text),
    )
