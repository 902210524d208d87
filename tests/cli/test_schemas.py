"""Every form for machines says what its schema says, and no table has a byte that a terminal or a reader could stumble on.

The commands run in this process, on the real journal, inventory and lab: thirty starts of the program would cost more
than all that is looked at here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from tests.cli.conftest import Vigo
from vigo.adapters.inventory_yaml import load
from vigo.adapters.trait_store import TraitStore
from vigo.cli.app import app
from vigo.core.errors import Exit
from vigo.core.inventory import Gathered

_SCHEMAS = Path(__file__).parents[2] / "docs/reference/schema"
_PAGE = Path(__file__).parents[2] / "docs/reference/json.md"
EVIL = "a\x1b]0;x\x07\x9b31m\tb\r\nc\u2028d\u202ee\x00f\x7f\u200bg" + "\u0301" * 9
LINE = EVIL.replace("\x00", "").replace("\r\n", "")
"""The same without what a command or an operator's name cannot have."""
AT = "2026-03-13T12:30:00.000Z"


@dataclass(frozen=True)
class Here:
    """The program in this process."""

    home: Path
    capture: pytest.CaptureFixture[str]
    told: list[str] = field(default_factory=list)
    """What each command said on standard error."""

    def __call__(self, *words: str) -> str:
        """Run one command and return what it printed; what a schema is held against was not refused."""
        code = typer.main.get_command(app).main(list(words), standalone_mode=False)
        told = self.capture.readouterr()
        self.told.append(told.err)
        assert code in (Exit.OK, Exit.HOSTS_FAILED, Exit.REFUSED, Exit.STOPPED), (code, told.err)
        return told.out


@pytest.fixture
def here(lab: Vigo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Return the program in this process, with the lab as its fleet and folders of its own."""
    for name in tuple(os.environ):
        if name.startswith("VIGO_"):
            monkeypatch.delenv(name)
    for name, value in lab.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(lab.home)
    return Here(lab.home, capfd)


def _validator(name: str, part: str = "") -> Callable[[object], None]:
    schema: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    wanted = {"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]} if part else schema
    validate: Callable[[object], None] = Draft202012Validator(wanted).validate
    return validate


def _holds(here: Here, name: str, *words: str) -> list[Any]:
    """Hold `-o json` against the schema and, where it has lines, `-o jsonl` too; return the lines."""
    whole = json.loads(here(*words, "-o", "json"))
    _validator(name)(whole)
    if "line" not in json.loads((_SCHEMAS / f"{name}.json").read_text()).get("$defs", {}):
        return [whole]
    lines = [json.loads(line) for line in here(*words, "-o", "jsonl").splitlines()]
    validate = _validator(name, "line")
    for line in lines:
        validate(line)
    assert any(isinstance(part, list) and len(part) == len(lines) for part in whole.values())
    return lines


def test_what_is_said_of_the_fleet_is_as_documented(here: Here) -> None:
    """Inventory, traits and keys, from files and from hosts."""
    one = "web-01.example.com"
    assert len(_holds(here, "inventory", "inventory", "list")) == 5
    _holds(here, "inventory-host", "inventory", "show", one)
    _holds(here, "inventory-ssh", "inventory", "show", one, "--ssh", "--jump", "web-02.example.com")
    _holds(here, "inventory-check", "inventory", "check")
    (gathered,) = _holds(here, "traits-gathered", "traits", "gather", "--target", one)
    assert _holds(here, "traits", "traits", "show", one)
    _validator("traits")(json.loads(here("traits", "show", "db-01.example.com", "-o", "json")))
    assert gathered["traits"]["os.distro"]
    assert _holds(here, "query", "query", "os.distro")
    assert _holds(here, "query-count", "query", "os.distro", "--count")
    assert _holds(here, "keys", "keys", "show")
    assert _holds(here, "keys", "keys", "scan", "--target", one)
    _validator("keys-forgotten")(json.loads(here("keys", "forget", one, "-o", "json")))
    assert len(_holds(here, "lab", "lab", "status")) == 5


def test_what_is_said_of_this_machine_and_of_rules_is_as_documented(here: Here) -> None:
    """Guards, configuration, check-ups."""
    assert _holds(here, "guard-rules", "guard", "rules")
    for command in ("uptime", "reboot", "systemctl stop vigo", "x=$(cat y); rm -rf /srv/$x"):
        _holds(here, "guard-check", "guard", "check", command)
    (here.home / "questions").write_text('{"cmd": "uptime", "id": [1]}\n{"cmd": "reboot"}\n')
    for line in here("guard", "check", "--input", "questions").splitlines():
        _validator("guard-check")(json.loads(line))
    assert _holds(here, "config", "config", "show")
    assert _holds(here, "doctor", "doctor")
    assert _holds(here, "doctor", "doctor", "web-01.example.com")


def test_what_is_said_of_the_journal_is_as_documented(here: Here) -> None:
    """Events of every kind that a run with a gate, a budget, output and a refusal leaves, and the verdict on them."""
    _validator("audit-verdict")(json.loads(here("audit", "verify", "-o", "json")))
    here("task", "run", "echo x; exit 3", "--target", "*.web.*", "--batch-size", "1", "--max-failures", "1")
    here("task", "run", "true", "--target", "*.web.*", "--batch-size", "2", "--health-check-command", "false")
    here("task", "run", "reboot", "--target", "all")
    here("audit", "prune", "--older-than", "1ms")
    kinds = {line["event"] for line in _holds(here, "audit-events", "audit", "show")}
    assert kinds >= {"task.dispatch", "host.finished", "gate.checked", "task.finished", "task.blocked", "output.pruned"}
    assert {line["kind"] for line in _holds(here, "audit-rows", "audit", "export")} == kinds
    assert len(_holds(here, "tasks", "task", "list")) == 3
    for task in json.loads(here("task", "list", "-o", "json"))["tasks"]:
        stored = here("task", "status", task["id"], "-o", "jsonl")
        assert stored
        assert here("task", "status", task["id"], "--watch", "-o", "jsonl") == stored
    anchor = json.loads(here("audit", "anchor", "-o", "json"))
    _validator("audit-anchor")(anchor)
    said = f"{anchor['seq']}:{anchor['digest']}"
    _validator("audit-verdict")(json.loads(here("audit", "verify", "--anchor", said, "-o", "json")))


def test_a_dry_run_says_whose_rights_and_what_input_there_would_be(here: Here) -> None:
    """As the plan for people says it, which stands on standard error."""
    (here.home / "in").write_text("x")
    (here.home / "password").write_text("secret")
    (here.home / "password").chmod(0o600)
    told = {}
    for name, words in {
        "plain": (),
        "rights": ("--sudo-user", "bob", "--sudo-password-file", "password"),
        "doas": ("--doas",),
        "asked": ("--sudo", "--ask-sudo-password"),
        "input": ("--stdin", "in", "--env", "A=b"),
        "shell": ("--pty", "--shell", "sh"),
    }.items():
        told[name] = json.loads(
            here("task", "run", "id", "--target", "web-01*", "--no-probe", "--dry-run", "-o", "json", *words)
        )
        _validator("plan")(told[name])
    pushed = here("task", "push", "in", "/tmp/x", "--target", "web-01*", "--no-probe", "--dry-run", "-o", "json")
    _validator("plan")(json.loads(pushed))
    said = "\n".join(here.told)
    for line in (
        "runs as bob (sudo)",
        "password for sudo: read from a file",
        "runs as root (doas)",
        "standard input: in ",
    ):
        assert line in said
    assert "password for sudo: asked for on the terminal before anything connects" in said
    assert (told["plain"]["rights"], told["plain"]["given"]) == (None, None)
    assert told["rights"]["rights"] == {"user": "bob", "by": "sudo", "password": "file"}
    assert told["doas"]["rights"] == {"user": "root", "by": "doas", "password": None}
    assert told["asked"]["rights"] == {"user": "root", "by": "sudo", "password": "asked"}
    assert (told["input"]["given"]["stdin"]["size_bytes"], told["input"]["given"]["env"]) == (1, [["A", "b"]])
    assert told["shell"]["given"]["has_terminal"]


def test_no_table_has_a_byte_that_is_not_of_the_table(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """One header, one line a row, as many tabs in each, and nothing that drives a terminal, whatever was said."""
    monkeypatch.setenv("VIGO_OPERATOR", LINE)
    (here.home / "inventory").mkdir()
    inventory = here.home / "inventory/hosts.yaml"
    inventory.write_text('hosts:\n  a: {address: 127.0.0.1, ssh: {port: 1}, traits: {said: "a\\tb"}}\n')
    path = inventory.parent
    TraitStore(here.home / "data", path).keep(load(path).hosts, {"a": Gathered({"heard": (EVIL, 1)}, AT, "t1a2b3c4")})
    here("task", "run", f"exit 3 # {LINE}", "--target", "web-01*", "--operator", LINE)
    own = ("-i", "inventory")
    for words in (
        ("task", "list"),
        ("task", "status"),
        ("task", "run", f"exit 3 # {LINE}", "--target", "web-01*", "--dry-run"),
        ("audit", "show"),
        ("inventory", "list", *own),
        ("traits", "show", "a", *own),
        ("traits", "gather", "--target", "a", "--connect-timeout", "2", *own),
        ("query", "said", *own),
        ("query", "heard", "--count", *own),
        ("keys", "show"),
        ("keys", "scan", "--target", "a", *own),
        ("guard", "rules"),
        ("guard", "check", f"reboot # {LINE}"),
        ("config", "show"),
        ("doctor", "a", *own),
        ("lab", "status"),
    ):
        text = here(*words, "-o", "tsv")
        header, *rows = text.removesuffix("\n").split("\n")
        assert text.endswith("\n"), words
        assert {row.count("\t") for row in rows} <= {header.count("\t")}, (words, text)
        assert header == header.lower(), words
        assert all(char.isprintable() for char in text.replace("\n", "").replace("\t", "")), (words, text)


def test_every_schema_is_on_the_page() -> None:
    """And closes its objects, so that a key that nobody documented is found here."""
    page = _PAGE.read_text()
    for path in _SCHEMAS.glob("*.json"):
        assert f"(schema/{path.name})" in page
        assert json.loads(path.read_text())["additionalProperties"] is False
