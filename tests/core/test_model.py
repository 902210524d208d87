from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, replace

import pytest

from vigo.core.errors import (
    ConfigError,
    Exit,
    JournalError,
    NoMatchError,
    RefusedError,
    TamperedError,
    UsageError,
    VigoError,
)
from vigo.core.model import (
    EMPTY_SHA256,
    Hop,
    Host,
    HostResult,
    Limits,
    Outcome,
    Output,
    Reason,
    SshSettings,
    accepted,
)


def test_a_host_without_an_address_is_reached_by_its_name() -> None:
    """The name is the address where the inventory gives none."""
    assert Host("web-01", "u").endpoint == "web-01"
    assert Host("web-01", "u", address="192.168.56.11").endpoint == "192.168.56.11"


def test_hosts_can_be_kept_in_sets_whatever_their_traits() -> None:
    """A host's identity is its name; traits are a map and would not hash."""
    one = Host("web-01", "u", traits={"os.distro": "ubuntu"})
    other = Host("web-02", "u", traits={"os.distro": "ubuntu"})
    assert {one, other, Host("web-01", "u", traits={"os.distro": "ubuntu"})} == {one, other}


def test_equal_ssh_settings_are_one_setting() -> None:
    """The transport builds its options once per distinct value."""
    assert len({SshSettings(user="ops"), SshSettings(user="ops"), SshSettings(user="ops", port=22)}) == 2


def test_values_do_not_change() -> None:
    """Every value of the core is frozen."""
    for value in (Host("a", "u"), SshSettings(), HostResult(Outcome.COMPLETE), Limits(), Output()):
        name = next(iter(type(value).__dataclass_fields__))
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_outcomes_and_reasons_are_the_words_of_the_contract() -> None:
    """Section 5, letter for letter: these words are stored, printed and typed as targets."""
    outcomes = "complete failed timeout unreachable rejected lost cancelled skipped"
    assert " ".join(Outcome) == outcomes
    reasons = (
        "dns refused no_route connect_timeout banner protocol kex host_key_unknown host_key_changed host_key_revoked "
        "auth channel throttled hop proxy no_shell local"
    )
    assert " ".join(Reason) == reasons


def test_no_output_has_the_digest_of_no_bytes() -> None:
    """The default is true, not a place holder."""
    assert hashlib.sha256(b"").hexdigest() == EMPTY_SHA256
    assert Output() == Output(0, EMPTY_SHA256, 0, EMPTY_SHA256, 0)


@pytest.mark.parametrize(("total", "kept", "is_cut"), [(0, 0, False), (5, 5, False), (6, 5, True)])
def test_output_is_cut_when_fewer_bytes_are_kept_than_came(total: int, kept: int, is_cut: bool) -> None:  # noqa: FBT001 - a table's column
    """Exactly as many is not cut."""
    assert Output(total_bytes=total, kept_bytes=kept).is_cut is is_cut


@pytest.mark.parametrize(
    ("exit_code", "outcome"),
    [(0, Outcome.FAILED), (3, Outcome.COMPLETE), (4, Outcome.FAILED), (255, Outcome.COMPLETE)],
)
def test_the_task_says_which_exit_codes_complete_a_host(exit_code: int, outcome: Outcome) -> None:
    """Those and no others, and 0 only where it is one of them; nothing else of the result changes."""
    for seen in (Outcome.COMPLETE, Outcome.FAILED):
        result = HostResult(seen, 42, exit_code, detail="as it was")
        assert accepted(result, (3, 255)) == replace(result, outcome=outcome)


@pytest.mark.parametrize(
    "result",
    [HostResult(outcome) for outcome in Outcome]
    + [HostResult(Outcome.TIMEOUT, exit_code=3), HostResult(Outcome.CANCELLED, exit_code=3)],
)
def test_only_an_exit_that_counts_can_be_accepted(result: HostResult) -> None:
    """A host that was ended by vigo, by a signal, or never ran, has no exit code of its own choice."""
    assert accepted(result, (0, 3)) == result


@pytest.mark.parametrize(
    ("hop", "shown"),
    [
        (Hop("bastion"), "bastion"),
        (Hop("bastion", ssh=SshSettings(user="ops", port=2222)), "ops@bastion:2222"),
        (Hop("2001:db8::1", ssh=SshSettings(port=22)), "[2001:db8::1]:22"),
    ],
)
def test_a_hop_is_shown_as_it_is_written(hop: Hop, shown: str) -> None:
    """As `ssh -J` takes it."""
    assert str(hop) == shown


@pytest.mark.parametrize(
    ("error", "code"),
    [(VigoError, 1), (UsageError, 2), (NoMatchError, 4), (ConfigError, 5), (RefusedError, 6), (JournalError, 7), (TamperedError, 8)],
)  # fmt: skip
def test_each_error_has_its_exit_code(error: type[VigoError], code: int) -> None:
    """The table of section 5."""
    assert error("why").exit_code == code
    assert str(error("why")) == "why"


def test_exit_codes_are_those_of_the_contract() -> None:
    """Shell scripts depend on the numbers."""
    assert {code.name: int(code) for code in Exit} == {
        "OK": 0, "HOSTS_FAILED": 1, "USAGE": 2, "STOPPED": 3, "NO_MATCH": 4, "CONFIG": 5, "REFUSED": 6, "JOURNAL": 7,
        "TAMPERED": 8, "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip
