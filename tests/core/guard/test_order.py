"""The two guards: what the dispatch guard says, and that only the hard guard makes an order."""

from __future__ import annotations

import sys
from uuid import UUID

import pytest

from vigo.core.guard import Layer, Order, Refusal, Text, clear, explain, review
from vigo.core.model import Host

HOST = Host(name="web-01", uuid=str(UUID(int=1)))


def test_an_order_is_made_by_the_hard_guard_and_by_nothing_else() -> None:
    """Nobody can make an order by hand: the value is the proof that the guard was asked."""
    with pytest.raises(TypeError, match=r"vigo\.core\.guard\.clear"):
        Order(object(), HOST, Text("uptime"))


def test_a_harmless_command_becomes_an_order_for_its_host() -> None:
    """What is cleared is what travels, for the host that it was cleared for."""
    order = clear(HOST, Text("uptime"))
    assert isinstance(order, Order)
    assert (order.host, order.wire, order.secrets) == (HOST, "uptime", ())


def test_a_hard_finding_becomes_a_refusal() -> None:
    """The transport never sees a command that the hard guard refuses."""
    refusal = clear(HOST, Text("systemctl stop vigo"))
    assert isinstance(refusal, Refusal)
    assert refusal.finding.pattern == "systemctl stop vigo"


def test_the_hard_guard_leaves_dispatch_findings_to_the_operator() -> None:
    """A reboot is a matter of `--force`, not of the last boundary."""
    assert isinstance(clear(HOST, Text("reboot")), Order)


def test_the_hard_guard_reads_the_text_with_its_secrets() -> None:
    """What runs is judged, not what is shown."""
    text = Text('rm -rf "$VIGO_PARAM_P"', secrets=(("VIGO_PARAM_P", "/srv/vigo"),))
    assert isinstance(clear(HOST, text), Refusal)


def test_the_dispatch_guard_names_the_gravest_finding_of_all_texts() -> None:
    """With several final texts a hard finding comes before others."""
    finding = review(["uptime", "reboot", "systemctl stop vigo"])
    assert finding is not None
    assert finding.layer is Layer.HARD
    assert review(["uptime", "ls"]) is None


def test_long_texts_are_judged_like_short_ones() -> None:
    """The memory of judgements is for short texts; the verdict does not depend on it."""
    filler = "true; " * 700
    assert len(filler) > 4_096
    assert explain(filler).verdict == "allow"
    assert explain(filler + "systemctl stop vigo").verdict == "hard"


def test_a_verdict_is_the_same_each_time() -> None:
    """The judgement is a function of the text."""
    command = "cd /srv && sudo rm -rf vi*o; reboot"
    assert explain(command) == explain(command)
    assert "tree_sitter" in sys.modules


def test_what_is_judged_is_made_of_what_travels() -> None:
    """Nobody can have one text judged and another one sent; a value that looks like a secret's word stays a value."""
    secrets = (("VIGO_PARAM_A", '"$VIGO_PARAM_B"'), ("VIGO_PARAM_B", "it's"))
    assert Text('x "$VIGO_PARAM_A" "$VIGO_PARAM_B" "$HOME"', secrets).judged == (
        """x '"$VIGO_PARAM_B"' 'it'\\''s' "$HOME\""""
    )
    assert Text("plain").judged == "plain"
