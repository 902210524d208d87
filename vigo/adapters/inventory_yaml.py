"""Reads inventory files: YAML, taken strictly, because PyYAML is not.

The parser's events are checked one by one as the nodes are made from them; nothing is ever composed by PyYAML, whose
composer overflows the stack on deep nesting and whose loader keeps the last of two equal keys without a word. Refused
with file, line and column: what is not UTF-8, anchors and aliases (and with them every bomb), tags, duplicate keys,
depth over 20, more than 16 MiB, and plain words that YAML 1.1 would turn into something else than they look like.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from vigo.core.errors import ConfigError
from vigo.core.inventory import Inventory
from vigo.core.inventory_build import build
from vigo.core.model import Scalar
from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode, shown, wrong

BYTES_MAX: Final = 16 * 1024 * 1024
DEPTH_MAX: Final = 20
ENTRIES_MAX: Final = 100_000
"""Entries in one map or list."""
NODES_MAX: Final = 1_000_000
"""Keys and values in one file; 40,000 hosts with ten traits each."""
FILES_MAX: Final = 1_000
_SUFFIXES: Final = (".yaml", ".yml")

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,14}", re.ASCII)
_AMBIGUOUS: Final = re.compile(
    r"""(?P<number>[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?
          |[-+]?0[xob][0-9a-fA-F_]+|[-+]?\.inf|\.nan)
      |(?P<time>[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)
      |(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:.*)?)
      |(?P<word>yes|no|on|off|true|false|null|~)
      |(?P<merge><<)""",
    re.IGNORECASE | re.ASCII | re.VERBOSE | re.DOTALL,
)
_CONTROL: Final = re.compile("[\x00-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
"""What YAML calls not printable, and the byte order mark."""
_PLAIN_FIRST: Final = frozenset("0123456789+-.~<yYnNoOtTfF")
"""The characters that an ambiguous plain word can begin with."""


def load(path: Path) -> Inventory:
    """Return the inventory in a file, or in the sorted `*.yaml` and `*.yml` of a folder.

    Raises ConfigError, with file, line and column, for anything that is not exactly an inventory.
    """
    return build([parse(_read(file), str(file)) for file in _files(path)], str(path))


def parse(content: bytes, file: str, *, begin: str = "hosts:") -> MapNode:
    """Return the one document in `content`, a map; `file` names it in errors. Raises ConfigError.

    `begin` is what an operator could begin an empty file with.
    """
    reader = _Reader(_decode(content, file), file)
    try:
        node = reader.document()
    except yaml.YAMLError as error:
        raise _malformed(error, file) from error
    if node is None:
        raise wrong(Mark(file, 1, 1), Path(file).name, "is empty", f"write `{begin}` and what belongs there")
    if not isinstance(node, MapNode):
        raise wrong(node.mark, Path(file).name, f"is {node.kind}, must be a map", f"begin with `{begin}`")
    return node


def _files(path: Path) -> Iterator[Path]:
    """Yield the files that a path stands for."""
    try:
        if not path.is_dir():
            yield path
            return
        names = sorted(
            name for name in (file.name for file in path.iterdir()) if name.endswith(_SUFFIXES) and name[0] != "."
        )
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not names:
        raise ConfigError(f"{path}: holds no *.yaml or *.yml; write one, or name another inventory with -i")
    if len(names) > FILES_MAX:
        raise ConfigError(f"{path}: holds {len(names)} files, at most {FILES_MAX} are read; join some")
    yield from (path / name for name in names)


def _read(path: Path) -> bytes:
    """Return a regular file's bytes, bounded; a pipe or a device is refused without reading from it."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path}: is not a regular file; give a YAML file or a folder of them")
            content = b"" if status.st_size > BYTES_MAX else file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if max(status.st_size, len(content)) > BYTES_MAX:
        raise ConfigError(f"{path}: is larger than {BYTES_MAX // 1024**2} MiB; split it into a folder of files")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _unreadable(path: Path, error: Exception) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(f"{path}: cannot be read: {reason}; give a YAML file or a folder of them")


def _decode(content: bytes, file: str) -> str:
    """Return the text. Raises ConfigError for another encoding than UTF-8, a byte order mark, a control character."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise wrong(Mark(file, 1, 1), "encoding", "is UTF-16, must be UTF-8", "save it as UTF-8")
    if content.startswith(b"\xef\xbb\xbf"):
        raise wrong(Mark(file, 1, 1), "encoding", "begins with a byte order mark", "save it as UTF-8 without one")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        mark = _place(content[: error.start].decode(errors="replace"), file)
        raise wrong(mark, f"byte 0x{content[error.start]:02x}", "is not UTF-8", "save the file as UTF-8") from error
    control = _CONTROL.search(text)
    if control is not None:
        mark = _place(text[: control.start()], file)
        raise wrong(mark, f"U+{ord(control[0]):04X}", "no such character may stand in the file", "remove it")
    return text


def _place(before: str, file: str) -> Mark:
    """Return the place after a text."""
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", before)
    return Mark(file, len(lines), len(lines[-1]) + 1)


def _malformed(error: yaml.YAMLError, file: str) -> ConfigError:
    """Return libyaml's complaint in one line with its place."""
    place = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    mark = Mark(file, place.line + 1, place.column + 1) if place is not None else Mark(file, 1, 1)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed")
    if "cannot start any token" in problem:
        problem += " (a tab does not indent)" if r"\t" in problem or "\t" in problem else ""
    context = getattr(error, "context", None)
    return wrong(mark, "YAML", problem + (f" {context}" if context else ""), "correct the line, or quote the text")


class _Open:
    """A map or a list whose end has not come yet."""

    __slots__ = ("entries", "items", "key", "key_mark", "mark")

    def __init__(self, mark: Mark, entries: dict[str, Entry] | None) -> None:
        self.mark = mark
        self.entries = entries
        """None in a list."""
        self.items: list[Node] = []
        self.key: str | None = None
        """The key whose value comes next."""
        self.key_mark = mark

    def add(self, node: Node) -> None:
        """Take the next item, or the value of the key."""
        if self.entries is None:
            self.items.append(node)
        elif self.key is not None:
            self.entries[self.key] = Entry(self.key_mark, node)
            self.key = None

    def close(self) -> Node:
        """Return the finished node."""
        return ListNode(tuple(self.items), self.mark) if self.entries is None else MapNode(self.entries, self.mark)

    @property
    def is_full(self) -> bool:
        """Whether one more entry would be too many."""
        return len(self.items if self.entries is None else self.entries) >= ENTRIES_MAX


class _Reader:
    """Turns the events of one file into nodes, checking each on the way."""

    def __init__(self, text: str, file: str) -> None:
        self._parser = _PARSER(text)
        self._file = file
        self._open: list[_Open] = []
        self._nodes = 0

    def document(self) -> Node | None:
        """Return the file's one document, or None when there is none."""
        root: Node | None = None
        documents = 0
        while (event := self._parser.get_event()) is not None:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                root = self._scalar(event) or root
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event, is_map=kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                root = self._add(self._open.pop().close()) or root
            elif kind is yaml.AliasEvent:
                raise self._refused_anchor(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise wrong(self._mark(event), "---", "begins a second document", "split the file in two")
        return None if isinstance(root, ScalarNode) and root.value is None else root

    def _mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark  # counts from 0; only events that nobody parsed have none
        return Mark(self._file, start.line + 1, start.column + 1) if start is not None else Mark(self._file, 1, 1)

    def _begin(self, event: yaml.CollectionStartEvent, *, is_map: bool) -> None:
        self._check(event)
        mark = self._mark(event)
        if len(self._open) >= DEPTH_MAX:
            raise wrong(mark, self._key(), f"is nested deeper than {DEPTH_MAX} levels", "flatten it")
        if self._wants_key():
            raise wrong(mark, self._key(), "is a key made of a list or a map", "write a text as the key")
        self._open.append(_Open(mark, {} if is_map else None))

    def _scalar(self, event: yaml.ScalarEvent) -> Node | None:
        """Take a key or a value; return it when it is the whole document."""
        self._check(event)
        text = event.value
        value: Scalar | None = text
        if event.implicit[0] and not event.style and (not text or text[0] in _PLAIN_FIRST):
            value = self._plain(text, event)
        if self._wants_key():
            self._begin_entry(event, value)
            return None
        return self._add(ScalarNode(value, self._mark(event)))

    def _begin_entry(self, event: yaml.ScalarEvent, key: Scalar | None) -> None:
        into = self._open[-1]
        mark = self._mark(event)
        if not isinstance(key, str):
            raise wrong(mark, event.value or '""', "is no text, and a key must be one", "quote it")
        if into.entries is not None and key in into.entries:
            raise wrong(mark, key, f"is listed twice, first at {into.entries[key].mark}", "remove one")
        into.key, into.key_mark = key, mark

    def _add(self, node: Node) -> Node | None:
        """Put a finished node where it belongs; return it when it is the whole document."""
        if not self._open:
            return node
        into = self._open[-1]
        if into.is_full:
            raise wrong(node.mark, self._key(around=1), f"has more than {ENTRIES_MAX:,} entries", "split the inventory")
        into.add(node)
        return None

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise wrong(
                self._mark(event), self._key(), f"is value {NODES_MAX + 1:,} of the file", "split the inventory"
            )
        if event.anchor is not None:
            raise self._refused_anchor(event)
        if event.tag is not None:
            raise wrong(
                self._mark(event), self._key(), f"has the tag {shown(event.tag)}", "remove it, or quote the text"
            )

    def _refused_anchor(self, event: yaml.NodeEvent) -> ConfigError:
        reason = f"uses the anchor {shown(str(event.anchor))!r}, and no value may stand in two places"
        return wrong(self._mark(event), self._key(), reason, "put what hosts share into a group or into defaults")

    def _wants_key(self) -> bool:
        return bool(self._open) and self._open[-1].entries is not None and self._open[-1].key is None

    def _key(self, around: int = 0) -> str:
        """Return the innermost key that is being read, `around` levels further out."""
        levels = reversed(self._open[: len(self._open) - around])
        return next((level.key for level in levels if level.key is not None), "document")

    def _plain(self, text: str, event: yaml.ScalarEvent) -> Scalar | None:
        """Return what a plain word means, if it can mean one thing only."""
        if not text:
            return None
        if text in {"true", "false"}:
            return text == "true"
        if _INTEGER.fullmatch(text) is not None:
            return int(text)
        ambiguous = _AMBIGUOUS.fullmatch(text)
        if ambiguous is None:
            return text
        key = text if self._wants_key() else self._key()
        reason, way_out = _AMBIGUITIES[str(ambiguous.lastgroup)]
        raise wrong(self._mark(event), key, f"{shown(text)} {reason}", way_out)


_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Only its events are used. Wheels of PyYAML bring libyaml; without it the same is read more slowly."""

_AMBIGUITIES: Final = {
    "number": ("is no plain whole number", "quote it"),
    "time": ("would be a number of base 60", "quote it"),
    "date": ("would be a date", "quote it"),
    "word": ("would be true, false or null to some", "quote it, or write true or false in lower case"),
    "merge": ("merges maps", "put what hosts share into a group or into defaults"),
}
