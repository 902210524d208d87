"""Turns a text with `{{ name }}` in it into a template, and a template with values into the final text.

Rule 1: only `{{ name }}` and `{{ name.more }}` are placeholders; `{{.Names}}` or `{{ x | y }}` stay as they are.
Rule 2: in a command each value becomes exactly one shell word or a part of one, whatever is in it; a placeholder that
stands where that cannot be promised makes the whole template unusable (`core/shell` judges the places).
Rule 3: in a URL each value is percent-encoded; an IPv6 address where the host stands is put into brackets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import TypeAlias
from urllib.parse import quote as percent_encode

from vigo.core.shell import Fault, scan
from vigo.core.values import dataclass

_PLACEHOLDER = re.compile(r"\{\{[ \t]*(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)[ \t]*\}\}")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_TRAIT = "trait."
HOST_NAMES = frozenset(("host", "address"))
"""With every `trait.PATH` the placeholders that each host fills in itself."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a value goes."""

    name: str
    bare: bool = False
    """Whether a plain value may stay unquoted."""

    @property
    def is_per_host(self) -> bool:
        """Whether the host fills it in, not a param."""
        return self.name in HOST_NAMES or self.name.startswith(_TRAIT)

    @property
    def trait(self) -> str | None:
        """The trait's dotted path, if it is one."""
        return self.name.removeprefix(_TRAIT) if self.name.startswith(_TRAIT) else None


Part: TypeAlias = str | Slot


@dataclass(frozen=True, slots=True)
class Template:
    """A text whose placeholders were found; `"".join` of its parts' texts is the text it was read from."""

    text: str
    parts: tuple[Part, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The placeholders in their order."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    @property
    def is_per_host(self) -> bool:
        """Whether hosts get different texts."""
        return any(slot.is_per_host for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A placeholder that stands where no value can."""

    name: str
    line: int
    """Line within the text, from 1."""
    fault: Fault

    def __str__(self) -> str:
        line = f" (line {self.line} of it)" if self.line > 1 else ""
        return f"{{{{ {self.name} }}}} {self.fault.reason}{line}; {self.fault.way_out}"


def literal(text: str) -> Template:
    """Make a template in which nothing is a placeholder."""
    return Template(text, (text,))


def read_command(text: str) -> Template | Misplaced:
    """Find the placeholders of a shell command; the first one that no value can fill makes it unusable."""
    found = list(_PLACEHOLDER.finditer(text))
    places = scan(text, [match.span() for match in found])
    for match, place in zip(found, places, strict=True):
        if place.fault is not None:
            return Misplaced(match["name"], text.count("\n", 0, match.start()) + 1, place.fault)
    slots = [Slot(match["name"], place.bare) for match, place in zip(found, places, strict=True)]
    return Template(text, _parts(text, found, slots))


def read_url(text: str) -> Template:
    """Find the placeholders of a URL; any other brace in it is one too many, and `fault_of_url` says so."""
    found = list(_PLACEHOLDER.finditer(text))
    return Template(text, _parts(text, found, [Slot(match["name"]) for match in found]))


def fault_of_url(template: Template) -> str | None:
    """Say why a URL cannot be used, or None when it can.

    URLs have no braces of their own (RFC 3986), so one outside of a placeholder is a slip; and next to one it could make
    another placeholder of a value that was filled in.
    """
    brace = next((char for part in template.parts if isinstance(part, str) for char in part if char in "{}"), None)
    return None if brace is None else f"holds `{brace}` outside of a placeholder; write %{ord(brace):X}"


def fill_command(template: Template, values: Mapping[str, str], *, words: Mapping[str, str] | None = None) -> str:
    """Put each value in as one shell word; `words` holds ready-made words that go in as they are."""
    ready = words or {}
    return "".join(
        part if isinstance(part, str) else ready.get(part.name) or _word(values[part.name], bare=part.bare)
        for part in template.parts
    )


def fill_url(template: Template, values: Mapping[str, str]) -> str:
    """Put each value in percent-encoded; only RFC 3986's unreserved characters stay as they are.

    An IPv6 address where the host stands goes in as `[address]`. A placeholder without a value stays, as `{{ name }}`.
    """
    filled = ""
    for part in template.parts:
        if isinstance(part, str):
            filled += part
        elif part.name not in values:
            filled += f"{{{{ {part.name} }}}}"
        else:
            value = values[part.name]
            at_host = filled.endswith("://") and filled.count("://") == 1
            filled += f"[{value}]" if at_host and _is_ipv6(value) else percent_encode(value, safe="")
    return filled


def quote(value: str) -> str:
    """Return the single-quoted shell word that means exactly `value`, whatever it is but NUL."""
    return "'" + value.replace("'", "'\\''") + "'"


def _is_ipv6(value: str) -> bool:
    try:
        return IPv6Address(value).scope_id is None
    except ValueError:
        return False


def _word(value: str, *, bare: bool) -> str:
    return value if bare and _PLAIN.fullmatch(value) else quote(value)


def _parts(text: str, found: list[re.Match[str]], slots: list[Slot]) -> tuple[Part, ...]:
    parts: list[Part] = []
    at = 0
    for match, slot in zip(found, slots, strict=True):
        parts += [text[at : match.start()], slot]
        at = match.end()
    return tuple(part for part in [*parts, text[at:]] if part)


def fill_path(template: Template, values: Mapping[str, str]) -> str:
    """Put each value in as it is; what comes out is checked, and judged by the guards, as a whole."""
    return "".join(part if isinstance(part, str) else values[part.name] for part in template.parts)
