from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vigo.adapters.inventory_yaml import parse
from vigo.core.imports.document import Document, ImportedHost
from vigo.core.imports.writing import scalar, write
from vigo.core.inventory import Inventory
from vigo.core.inventory_build import build
from vigo.core.model import Hop, SshSettings, TraitValue

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), max_size=30)
WORDS = st.sampled_from(
    [
        *[
            "no",
            "On",
            "NULL",
            "~",
            "y",
            "1.10",
            "0644",
            "12:30",
            "2026-03-13",
            "1e3",
            "-",
            "?",
            "a:b",
            "@x",
            "<<",
            "10.0.0.1",
            "::1",
            "~/.ssh/id",
            "=",
            "!vault",
            "&a",
            "*a",
            "'",
            '"',
            "\\",
        ],
        *("a: b", "a #b", " x ", "", "\u2028", "\ufeff", "\xa0"),
    ]
)
VALUES = st.one_of(
    TEXTS,
    WORDS,
    st.booleans(),
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.lists(st.one_of(TEXTS, st.booleans()), max_size=40).map(tuple),
)


def read(document: Document) -> Inventory:
    """Read a document back through the strict loader."""
    return build([parse(write(document, "a test").encode(), "made.yaml")], "made.yaml")


@given(value=VALUES)
def test_any_value_of_a_trait_comes_back_as_it_was(value: TraitValue) -> None:
    """Whatever YAML would take for something else is quoted, and what it cannot hold is escaped."""
    if isinstance(value, str) and any("\x7f" <= sign < "\xa0" for sign in value):
        return  # no trait may hold these
    document = Document(
        (ImportedHost("h", (), {"traits.a.b": value, "traits.z": "last"}),), {}, {"traits.a.d": "below"}
    )
    (host,) = read(document).hosts
    assert dict(host.traits) == {"a.b": value, "a.d": "below", "z": "last"}
    assert type(host.traits["a.b"]) is type(value)


def test_a_document_reads_like_one_that_a_person_wrote() -> None:
    """Groups nest, short maps stand on one line, long ones below their key; the same document is the same text."""
    document = Document(
        (
            ImportedHost(
                "web-01",
                ("prod.web",),
                {
                    "traits.note": "x" * 90,
                    "traits.tags": tuple(f"tag-{number:02d}" for number in range(20)),
                    "address": "10.0.0.1",
                    "ssh.port": 2222,
                    "ssh.user": "ops",
                },
            ),
            ImportedHost("plain"),
        ),
        {"prod": {"ssh.user": "ops"}, "prod.web": {}, "idle": {}},
        {"traits.site": "fra", "traits.since": "2026-03-13"},
    )
    text = write(document, "hosts.ini\nevil: 1")
    assert text.splitlines()[:24] == [
        "# Made by `vigo inventory import` from hosts.ini?evil: 1.",
        "defaults:",
        '  traits: {since: "2026-03-13", site: fra}',
        "groups:",
        "  prod:",
        "    ssh: {user: ops}",
        "    groups:",
        "      web: {}",
        "  idle: {}",
        "hosts:",
        "  web-01:",
        "    address: 10.0.0.1",
        "    groups: [prod.web]",
        "    ssh: {user: ops, port: 2222}",
        "    traits:",
        f"      note: {'x' * 90}",
        "      tags:",
        *(f"        - tag-{number:02d}" for number in range(7)),
    ]
    assert text.endswith("  plain: {}\n")
    shuffled = Document(document.hosts, document.groups, dict(reversed(list(document.defaults.items()))))
    assert write(shuffled, "hosts.ini\nevil: 1") == text


def test_hops_are_maps_of_what_is_said_of_them() -> None:
    """One hop is written as a chain of one."""
    hops = (Hop("gate", ssh=SshSettings(user="ops", port=2200)), Hop("inner"))
    text = write(Document((ImportedHost("h", (), {"ssh.jump": hops}),)), "a test")
    assert "jump: [{host: gate, user: ops, port: 2200}, {host: inner}]" in text


def test_a_document_without_hosts_can_be_read() -> None:
    """An empty map and not an empty place."""
    assert read(Document(())).hosts == ()


def test_what_could_be_a_number_a_date_or_a_word_is_quoted() -> None:
    """Plain is only what every reader of YAML takes for text."""
    for text in ("web-01.example.com", "10.0.0.1", "~/.ssh/id_ed25519", "/a/b", "_x", "a@b"):
        assert scalar(text) == text
    for text in ("1.10", "2026-03-13", "no", "y", "", "2001:db8::1", "a b", "a:b", "~", "0x1F", "web,db"):
        assert scalar(text) == f'"{text}"'
    assert scalar('a"\\\n\t\x1b\u2028\U000e0001') == '"a\\"\\\\\\n\\t\\x1B\\u2028\\U000E0001"'
    assert (scalar(True), scalar(False), scalar(-7)) == ("true", "false", "-7")  # noqa: FBT003 - values
