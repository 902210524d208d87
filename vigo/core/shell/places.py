"""The judgement on a place, and every reason for which a place is refused."""

from __future__ import annotations

from typing import NamedTuple

from vigo.core.values import dataclass

_QUOTES_WAY_OUT = "write it outside the quotes, each value is quoted by vigo: 'app '{{ name }}"
_WORD_WAY_OUT = "give it a word of its own"


class Fault(NamedTuple):
    """Why no value can stand in a place."""

    reason: str
    """Continues "{{ name }} …"."""
    way_out: str


@dataclass(frozen=True, slots=True)
class Place:
    """The judgement on one placeholder's place."""

    fault: Fault | None = None
    bare: bool = False
    """Whether a value of plain characters may stay unquoted there without meaning something else."""


INSIDE = {
    '"': Fault("stands inside double quotes", _QUOTES_WAY_OUT),
    "'": Fault("stands inside single quotes", _QUOTES_WAY_OUT),
    "$'": Fault("stands inside $'…'", _QUOTES_WAY_OUT),
    "`": Fault("stands inside backticks", "write $(…) instead of them"),
    "${": Fault("stands inside ${…}", "give it to a variable of its own first: name={{ name }}"),
    "$((": Fault(
        "stands inside arithmetic $((…)), where a value would be evaluated",
        "give it to a command that calculates: expr {{ name }} + 1",
    ),
    "#": Fault("stands in a comment", "leave the comment out"),
    "<<": Fault("stands in a here-document", "pass it as an argument: printf '%s\\n' {{ name }} | …"),
}
AFTER_BACKSLASH = Fault("stands after a backslash", "leave the backslash out")
AFTER_DOLLAR = Fault("stands after a $", "leave the $ out")
IN_BRACES = Fault("stands in a word with braces, which some shells make several words of", _WORD_WAY_OUT)
IN_BRACKETS = Fault("stands inside […] within a word, where some shells evaluate it", _WORD_WAY_OUT)
AS_DESCRIPTOR = Fault("stands after <& or >&, where a descriptor's number belongs", "write the number")
AS_NAME = Fault("stands where `for` has its variable", "write a name")
AS_FUNCTION = Fault("stands where a function has its name", "write a name")
HEREDOC_UNSURE = Fault(
    "stands after a here-document whose end shells see in different places", "write <<'EOF', outside $(…)"
)
UNENDED = Fault(
    "stands in a command that does not end: quotes, brackets, `case` or a last backslash are open",
    "close what was opened",
)


class UnsureError(Exception):
    """Nothing is certain from here on: no place behind it is good."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def differ(what: str, way_out: str) -> UnsureError:
    """Return the error for what shells read in different ways."""
    return UnsureError(Fault(f"stands after {what}, which shells read differently", way_out))


def misplaced(what: str) -> UnsureError:
    """Return the error for what is no valid command, or too odd to be certain of."""
    return UnsureError(Fault(f"stands after {what} where vigo's reading of the command ends", "simplify the command"))
