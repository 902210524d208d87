"""Reads the YAML of other tools: as they read it, but bounded, and with the place of every word.

Unlike an inventory of vigo's it may have anchors, merge keys and the plain words of YAML 1.1. Words are true, false,
nothing, or a plain whole number where YAML 1.1 says so; every other scalar (`1.10`, `0644`, `2026-03-13`) is the text
that was written. Encrypted values keep no more than their first line.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from vigo.core.model import Scalar
from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode, shown, wrong

DEPTH_MAX: Final = 50
NODES_MAX: Final = 1_000_000
_TRUE: Final = frozenset({"yes", "true", "on"})
_FALSE: Final = frozenset({"no", "false", "off"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_TEXT_TAGS: Final = frozenset({None, "!", "!unsafe", "tag:yaml.org,2002:str"})
_VAULT: Final = "$ANSIBLE_VAULT"
_MERGE: Final = "<<"
_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(text: str, source: str) -> MapNode:
    """Return the map that a text holds; an empty text is an empty map. Raises ConfigError with file, line and column."""
    try:
        node = _Reader(text, source).document()
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        mark = Mark(source, place.line + 1, place.column + 1) if place is not None else Mark(source, 1, 1)
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed")
        raise wrong(mark, "YAML", problem, "correct the line") from error
    if isinstance(node, ScalarNode) and node.value is None:
        return MapNode({}, node.mark)
    if not isinstance(node, MapNode):
        raise wrong(node.mark, "document", f"is {node.kind}, must be a map", "give a file of groups or variables")
    return node


class _Reader:
    """Turns the parser's events into nodes; PyYAML composes and constructs nothing."""

    def __init__(self, text: str, source: str) -> None:
        self._parser = _PARSER(text)
        self._source = source
        self._anchors: dict[str, tuple[Node, int]] = {}
        """Anchor -> its node, and how many nodes that is, written out."""
        self._nodes = 0

    def document(self) -> Node:
        """Return the one document of the file."""
        root: Node = ScalarNode(None, Mark(self._source, 1, 1))
        documents = 0
        while (event := self._parser.get_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise wrong(self._mark(event), "---", "begins a second document", "split the file in two")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        return root

    def _node(self, event: yaml.NodeEvent, depth: int) -> Node:
        mark = self._mark(event)
        if depth > DEPTH_MAX:
            raise wrong(mark, "value", f"is nested deeper than {DEPTH_MAX} levels", "flatten it")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, mark)
        before = self._nodes
        self._count(1, mark)
        node: Node
        if isinstance(event, yaml.MappingStartEvent):
            node = self._map(mark, depth)
        elif isinstance(event, yaml.ScalarEvent):
            node = ScalarNode(self._scalar(event, mark), mark)
        else:
            node = ListNode(tuple(self._items(depth)), mark)
        anchor: str | None = event.anchor
        if anchor is not None:
            self._anchors[anchor] = node, self._nodes - before
        return node

    def _items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := self._parser.get_event(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _map(self, mark: Mark, depth: int) -> MapNode:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        while not isinstance(event := self._parser.get_event(), yaml.MappingEndEvent):
            place = self._mark(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise wrong(place, "key", "is no text", "write a text as the key")
            key = event.value
            node = self._node(self._parser.get_event(), depth + 1)
            if key == _MERGE and event.implicit[0]:
                merged = {**self._merged(node), **merged}
            elif key in own:
                raise wrong(place, key, f"is listed twice, first at {own[key].mark}", "remove one")
            else:
                own[key] = Entry(place, node)
        return MapNode({**merged, **own}, mark)

    def _merged(self, node: Node) -> dict[str, Entry]:
        """Return the entries of one map, or of a list of them in which the first wins."""
        found: dict[str, Entry] = {}
        for item in node.items if isinstance(node, ListNode) else (node,):
            if not isinstance(item, MapNode):
                raise wrong(item.mark, _MERGE, f"is {item.kind}, must be a map", "merge maps alone")
            found = {**item.entries, **found}
        return found

    def _alias(self, event: yaml.AliasEvent, mark: Mark) -> Node:
        if event.anchor not in self._anchors:
            raise wrong(mark, f"*{event.anchor}", "stands for nothing, or for itself", "write an anchor before it")
        node, size = self._anchors[event.anchor]
        self._count(size, mark)
        return node

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> Scalar | None:
        text: str = event.value
        if event.tag == "!vault" or text.startswith(_VAULT):
            return _VAULT
        if event.tag not in _TEXT_TAGS:
            raise wrong(mark, shown(text), f"has the tag {shown(str(event.tag))}", "remove it, or quote the text")
        if event.style or event.tag is not None:
            return text
        if text in _NULL:
            return None
        if text.lower() in _TRUE | _FALSE and text in {text.lower(), text.upper(), text.capitalize()}:
            return text.lower() in _TRUE
        return int(text) if _INTEGER.fullmatch(text) else text

    def _count(self, nodes: int, mark: Mark) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise wrong(mark, "document", f"has more than {NODES_MAX:,} values", "split it")

    def _mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return Mark(self._source, start.line + 1, start.column + 1) if start is not None else Mark(self._source, 1, 1)


def is_encrypted(text: str) -> bool:
    """Whether a whole file is encrypted with ansible-vault."""
    return text.startswith(_VAULT)
