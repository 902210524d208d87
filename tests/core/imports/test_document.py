from __future__ import annotations

import pytest

from vigo.core.errors import ConfigError
from vigo.core.imports.document import HostNames, ImportedHost, Notes, path_mark, weak_keys
from vigo.core.nodes import Mark


def test_a_thing_that_is_left_out_often_is_said_once_and_counted() -> None:
    """With its first place; remarks come after what was left out, and text from outside stays in its line."""
    notes = Notes()
    notes.remark("note: first")
    for line in (3, 7, 7):
        notes.leave_out("x\ny", "is odd", Mark("hosts", line, 1))
    notes.leave_out("z", "is odd", path_mark("list.json", ".web"))
    notes.remark("note: first")
    assert list(notes.lines()) == [
        "left out: x\\ny: is odd (hosts:3:1 and 1 more)",
        "left out: z: is odd (list.json: .web)",
        "note: first",
    ]


def test_hosts_whose_keys_are_not_checked_are_counted_and_named() -> None:
    """One warning for each choice."""
    hosts = [ImportedHost(f"w{number}", (), {"ssh.host_keys": "insecure"}) for number in (1, 2)]
    hosts += [ImportedHost("n", (), {"ssh.host_keys": "accept-new"}), ImportedHost("s")]
    assert list(weak_keys(hosts)) == [
        "warning: 2 hosts with host_keys: insecure, their keys are not checked at all: w[1-2]",
        "warning: 1 host with host_keys: accept-new, an unknown key is taken: n",
    ]


def test_a_name_is_taken_once_and_in_one_spelling() -> None:
    """A second host of the name is refused; the same host may be named again."""
    names = HostNames()
    names.take("web", Mark("a", 1, 1))
    assert not names.add("web", Mark("a", 2, 1))
    with pytest.raises(ConfigError, match="a:3:1: web: is listed twice, first at a:1:1; remove one"):
        names.take("web", Mark("a", 3, 1))
    with pytest.raises(ConfigError, match="a:4:1: WEB: differs only in case from 'web' at a:1:1"):
        names.add("WEB", Mark("a", 4, 1))
    with pytest.raises(ConfigError, match=r"list.json: \.all: all: is a word of the target grammar"):
        names.take("all", path_mark("list.json", ".all"))
    assert str(path_mark("list.json")) == "list.json"
