"""Makes nodes as the YAML adapter would, from plain values; every node stands at `tasks.yaml:7:3`."""

from __future__ import annotations

from typing import Any

from vigo.core.nodes import Entry, ListNode, MapNode, Mark, Node, ScalarNode

MARK = Mark("tasks.yaml", 7, 3)


def node(value: Any) -> Node:
    """Make the node of a value: a dict, a list, text, an integer, a boolean or None."""
    match value:
        case dict():
            return MapNode({key: Entry(MARK, node(item)) for key, item in value.items()}, MARK)
        case list():
            return ListNode(tuple(map(node, value)), MARK)
        case _:
            return ScalarNode(value, MARK)


def map_node(**entries: Any) -> MapNode:
    """Make a map of these entries."""
    made = node(entries)
    assert isinstance(made, MapNode)
    return made
