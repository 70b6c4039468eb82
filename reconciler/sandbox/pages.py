"""Pagination: from `page` and `per_page` to a slice and its `result_info`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.sandbox.envelope import invalid_query

DEFAULT_PER_PAGE = 50
MOST_PER_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a list of `total` items; `page` counts from 1."""

    page: int
    per_page: int
    total: int

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.per_page

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.per_page)

    def info(self, *, count: int) -> Mapping[str, int | bool]:
        """`next_page` is not in the reference, but in reality (field notes, *Build tokens*)."""
        return {
            "count": count,
            "page": self.page,
            "per_page": self.per_page,
            "total_count": self.total,
            "total_pages": self.total_pages,
            "next_page": self.page < self.total_pages,
        }


def page_of(query: Mapping[str, str], *, total: int) -> Page:
    """The page asked for. Out of range in any way is 12013 (field notes, *Error codes*).

    So is one past the last page; but the first page of an empty list is in range.
    """
    page = Page(
        page=_positive(query.get("page", "1")),
        per_page=_positive(query.get("per_page", str(DEFAULT_PER_PAGE))),
        total=total,
    )
    if page.per_page > MOST_PER_PAGE or page.page > max(1, page.total_pages):
        raise invalid_query()
    return page


def _positive(value: str) -> int:
    # Nine digits: enough for any page, and never more than an SQLite integer or int() takes.
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) == 0:
        raise invalid_query()
    return int(value)
