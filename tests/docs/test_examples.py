from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Block, markdown, read
from vigo.adapters.inventory_yaml import load, parse
from vigo.cli.settings import configurable
from vigo.core.inventory_check import check
from vigo.core.policy import read_policy

INVENTORY_KEYS = {"defaults", "groups", "hosts", "tasks"}
POLICY_KEYS = {"patterns", "confirm_above", "refuse_above", "protected"}
EXAMPLES = [block for path in markdown() for block in read(path).blocks if block.language == "yaml"]


def keys(block: Block) -> set[str]:
    """Return the keys at the left margin."""
    return {line.partition(":")[0] for line in block.lines if line[:1].isalpha()}


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.place)
def test_an_example_file_is_one_that_vigo_reads(block: Block, tmp_path: Path) -> None:
    """An inventory that a page shows passes the strict loader, its tasks too; keys of a task alone are put into one."""
    text = "\n".join(block.lines)
    if "params" in keys(block):
        text = "tasks:\n  example:\n" + "".join(f"    {line}\n" for line in block.lines)
    elif keys(block) <= POLICY_KEYS:
        assert read_policy(parse(text.encode(), block.place), block.place).patterns
        return
    elif "fanout" in keys(block):
        assert keys(block) <= {"inventory", *configurable()}
        return
    elif not keys(block) <= INVENTORY_KEYS:
        pytest.fail(f"{block.place}: neither an inventory nor a task; say here how to check it")
    path = tmp_path / "example.yaml"
    path.write_text(text + "\n", encoding="utf-8")
    inventory = load(path)
    assert inventory.hosts or inventory.tasks
    check(inventory)


def test_there_are_examples() -> None:
    """A test over nothing would pass for ever."""
    assert len(EXAMPLES) >= 4
