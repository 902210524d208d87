"""Names, one after the other: in one line for pipes and files, below each other where a terminal ends."""

from __future__ import annotations

from collections.abc import Sequence

_REST = ", ..."


def listed(label: str, names: Sequence[str], width: int | None, lines_max: int | None = None) -> str:
    """Return the names behind a label, without a line end; None is no terminal, and one line however long.

    On a terminal that is `width` wide no name is cut, and what goes on stands below the first one. Beyond `lines_max`
    lines an ellipsis is in the place of the rest.
    """
    text = f"{label}{', '.join(names)}"
    if width is None or len(text) < width or len(names) < 2:  # noqa: PLR2004 - one name has nothing to go on with
        return text
    lines = [f"{label}{names[0]}"]
    for name in names[1:]:
        is_last = len(lines) == lines_max
        if len(lines[-1]) + len(f", {name}{_REST if is_last else ','}") <= width:
            lines[-1] += f", {name}"
        elif is_last:
            lines[-1] += _REST
            break
        else:
            lines[-1] += ","
            lines.append(" " * len(label) + name)
    return "\n".join(lines)
