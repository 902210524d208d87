"""Elements of an HTML page, made so that text from outside cannot become markup.

A plain `str` is always text: it is cleaned of control characters and escaped. Only what `tag` and its like return is
markup. Attribute values are escaped likewise; names of elements and attributes are the program's own.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

from vigo.render.sanitize import clean, clean_block

_VOID = frozenset({"meta"})
"""Elements that have no content and no end."""


class Html(str):
    """Markup that is ready to be written."""

    __slots__ = ()


Child: TypeAlias = str | int
"""Html is markup, any other str is text."""


def text(value: Child) -> Html:
    """Return one line of text as markup."""
    return value if isinstance(value, Html) else Html(html.escape(clean(str(value)), quote=False))


def block(data: bytes) -> Html:
    """Return lines of remote output as markup, for a `pre`."""
    return Html(html.escape(clean_block(data), quote=False))


def lines_of(value: str) -> Html:
    """Return a text of several lines as markup, for a `pre`."""
    return block(value.encode("utf-8", "backslashreplace"))


def join(parts: Iterable[Child]) -> Html:
    """Return the parts one after the other."""
    return Html("".join(map(text, parts)))


def tag(name: str, /, *children: Child, **attributes: Child | float | None) -> Html:
    """Return an element. `class_` is `class`, `a_b` is `a-b`; an attribute that is None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")
