"""The site's policy at the command line: findings, numbers to confirm, hosts left out, and a file taken strictly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Result, Vigo

pytestmark = pytest.mark.timeout(180)

_WEB = ["--target", "*.web.*"]
_STOP = "patterns: [{pattern: systemctl stop postgresql, reason: ask the database team}]\n"
_WARNING = (
    "warning: server-side guardrail blocked this command\n"
    "  reason:  ask the database team\n"
    "  pattern: systemctl stop postgresql\n"
    "  note:    the agent's hardcoded guardrails still apply on each envoy.\n"
)
_QUESTION = "Type the number of hosts to run it: "


def _write(vigo: Vigo, text: str) -> Path:
    """Write the policy file."""
    file = vigo.home / "config" / "policy.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)
    return file


def _run(vigo: Vigo, *flags: str, command: str = "true") -> Result:
    return vigo("task", "run", command, *flags)


def _only_block(vigo: Vigo) -> str:
    """Return the one event on record, a block, as text."""
    [event] = vigo.events()
    assert event["kind"] == "task.blocked"
    return json.dumps(event)


# --- patterns


def test_a_pattern_of_the_site_stops_a_task_as_a_rule_of_the_guard_does(lab: Vigo) -> None:
    """The page's warning with the site's reason, exit 6, and the pattern and the rule on record."""
    _write(lab, _STOP)
    result = _run(lab, *_WEB, command="sudo systemctl stop postgresql.service")
    assert (result.code, result.out) == (6, "")
    assert _WARNING in result.err
    block = _only_block(lab)
    for part in ('"systemctl stop postgresql"', '"site:1"', '"ask the database team"'):
        assert part in block


def test_force_passes_a_pattern_of_the_site(lab: Vigo) -> None:
    """It is the dispatch guard's, so it runs, and the chain says that it was forced."""
    _write(lab, "patterns: [{pattern: echo prod, reason: frozen, name: freeze}]\n")
    result = _run(lab, "--target", "web-01.example.com", "--force", command="echo prod")
    assert (result.code, "prod" in result.out) == (0, True)
    dispatch = json.dumps(lab.events()[0])
    assert '"forced": true' in dispatch
    assert '"pattern": "echo prod"' in dispatch


def test_the_hard_guards_finding_is_told_before_the_sites(lab: Vigo) -> None:
    """What nothing passes must not look like something that a yes settles."""
    _write(lab, "patterns: [{pattern: systemctl stop, reason: no stopping}]\n")
    result = _run(lab, *_WEB, command="systemctl stop nginx; systemctl stop vigo")
    assert "pattern: systemctl stop vigo\n" in result.err
    assert "pattern: systemctl stop\n" in _run(lab, *_WEB, command="systemctl stop sshd").err


def test_a_dry_run_shows_the_sites_verdicts_and_records_nothing(lab: Vigo) -> None:
    """A finding is exit 6, or 0 with `--force`; too many hosts stay refused; a number still to confirm is no refusal."""
    _write(lab, _STOP)
    dry = [*_WEB, "--dry-run", "--no-probe"]
    refused, forced = (_run(lab, *dry, *flags, command="systemctl stop postgresql") for flags in ([], ["--force"]))
    assert (refused.code, forced.code) == (6, 0)
    assert _WARNING in refused.err
    assert _run(lab, *dry, "-o", "json", command="systemctl stop postgresql").json()["finding"]["rule"] == "site:1"
    _write(lab, "refuse_above: 3\n")
    assert [_run(lab, *dry, *flags).code for flags in ([], ["--force"], ["--batch-size", "2"])] == [6, 6, 0]
    assert "refuse_above: 3: 4 hosts in one batch are more than the 3 that" in _run(lab, *dry).err
    _write(lab, "confirm_above: 3\n")
    assert [_run(lab, *dry, *flags).code for flags in ([], ["--confirm", "4"], ["--confirm", "5"])] == [0, 0, 6]
    assert "confirm_above: 3: 4 hosts are more than the 3 that" in _run(lab, *dry).err
    assert lab.events() == []


# --- the number of hosts


def test_on_a_terminal_the_number_of_hosts_is_typed(lab: Vigo) -> None:
    """The right number runs it; nothing was forced by that."""
    _write(lab, "confirm_above: 3\n")
    with lab.on_a_terminal("task", "run", "true", *_WEB) as child:
        child.expect_exact("4 hosts are more than the 3 that")
        child.expect_exact(_QUESTION)
        child.sendline("4")
        child.expect(pexpect.EOF)
        assert child.before is not None
        assert child.before.count("[complete]") == 4
    assert child.wait() == 0
    assert '"forced": false' in json.dumps(lab.events()[0])


@pytest.mark.parametrize("answer", ["y", "", "5", "^C"])
def test_any_other_answer_is_a_block(lab: Vigo, answer: str) -> None:
    """A yes is no number, and leaving the prompt is none either."""
    _write(lab, "confirm_above: 3\n")
    with lab.on_a_terminal("task", "run", "true", *_WEB) as child:
        child.expect_exact(_QUESTION)
        child.sendcontrol("c") if answer == "^C" else child.sendline(answer)
        child.expect_exact("blocked: that is not the number of hosts")
        child.expect(pexpect.EOF)
    assert child.wait() == 6
    assert '"confirm-above"' in _only_block(lab)


def test_a_finding_and_a_number_are_two_questions(lab: Vigo) -> None:
    """A yes answers the guard, the number answers the bound; `--confirm` answers the second one alone."""
    _write(lab, "patterns: [{pattern: echo prod, reason: frozen}]\nconfirm_above: 3\n")
    with lab.on_a_terminal("task", "run", "echo prod", *_WEB) as child:
        child.expect_exact("Proceed anyway? [y/N] ")
        child.sendline("y")
        child.expect_exact(_QUESTION)
        child.sendline("4")
        child.expect(pexpect.EOF)
    assert child.wait() == 0
    with lab.on_a_terminal("task", "run", "echo prod", *_WEB, "--confirm", "4") as child:
        child.expect_exact("Proceed anyway? [y/N] ")
        child.sendline("y")
        child.expect(pexpect.EOF)
        assert child.before is not None
        assert _QUESTION not in child.before
    assert child.wait() == 0


def test_without_a_terminal_the_number_is_a_flag(lab: Vigo) -> None:
    """None or a wrong one is exit 6 and on record; `--force` is no number; fewer hosts need none."""
    _write(lab, "confirm_above: 3\n")
    codes = [_run(lab, *_WEB, *flags).code for flags in ([], ["--force"], ["--confirm", "3"], ["--confirm", "4"])]
    assert codes == [6, 6, 6, 0]
    assert [event["kind"] for event in lab.events()[:4]] == ["task.blocked"] * 3 + ["task.dispatch"]
    assert _run(lab, "--target", "web-01.example.com").code == 0
    assert "there is no terminal to ask on; add --confirm 4" in _run(lab, *_WEB).err


def test_many_hosts_need_batches(lab: Vigo) -> None:
    """Neither `--force` nor `--confirm` passes the bound; `--batch-size` does."""
    _write(lab, "refuse_above: 3\n")
    refused = _run(lab, *_WEB, "--force", "--confirm", "4")
    assert refused.code == 6
    assert "cut it into batches with --batch-size" in refused.err
    assert '"refuse-above"' in _only_block(lab)
    assert _run(lab, *_WEB, "--batch-size", "2").code == 0


# --- protected hosts


def test_protected_hosts_are_left_out_and_told(lab: Vigo) -> None:
    """`all` and globs do not reach them, before `--limit` counts; the name written out does."""
    _write(lab, 'protected: [{hosts: "web-[01-02].example.com", reason: they serve the shop}]\n')
    glob = _run(lab, *_WEB, "--limit", "1", "--dry-run", "--no-probe")
    assert "Batch 0: web-03.example.com\n" in glob.out
    assert "policy.yaml: web-[01-02].example.com (they serve the shop); write a host's own name to reach it" in glob.err
    named = _run(lab, "--target", "web-01.example.com", "--dry-run", "--no-probe")
    assert "Batch 0: web-01.example.com\n" in named.out
    assert "left out" not in named.err
    nobody = _run(lab, "--target", "web-0[1-2]*", "--dry-run", "--no-probe")
    assert (nobody.code, nobody.out) == (4, "")


def test_a_protected_name_that_the_inventory_does_not_have_is_told(lab: Vigo) -> None:
    """It protects nothing, so nobody should believe that it does."""
    _write(lab, "protected: [{hosts: web-1.exmaple.com, reason: x}]\n")
    result = _run(lab, *_WEB, "--dry-run", "--no-probe")
    assert result.code == 0
    assert "policy.yaml:1:21: host web-1.exmaple.com: not in " in result.err


# --- the file


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("confirm_abov: 3\n", "policy.yaml:1:1: confirm_abov: unknown key; did you mean 'confirm_above'?"),
        ("confirm_above: yes\n", "policy.yaml:1:16: confirm_above: yes would be true, false or null to some"),
        ("patterns:\n  - pattern: systemctl stop db\n", "policy.yaml:2:5: reason: is missing"),
        ("", "policy.yaml:1:1: policy.yaml: is empty; write `patterns:`"),
        ("[]\n", "policy.yaml:1:1: policy.yaml: is a list, must be a map; begin with `patterns:`"),
        ("a: [\n", "policy.yaml:2:1: YAML:"),
        ("#" * (1024 * 1024 + 1), "policy.yaml: is larger than 1 MiB"),
    ],
)
def test_a_typo_stops_everything(lab: Vigo, text: str, complaint: str) -> None:
    """Exit 5 with the place, before anything is recorded or connected, dry run and `--force` included."""
    _write(lab, text)
    for flags in (["--force"], ["--dry-run"]):
        result = _run(lab, *_WEB, *flags)
        assert (result.code, result.out) == (5, "")
        assert complaint in result.err
    assert lab.events() == []


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(lab: Vigo, mode: int) -> None:
    """What others may have changed is not the site's word."""
    _write(lab, _STOP).chmod(mode)
    result = _run(lab, *_WEB, "--dry-run", "--no-probe")
    assert result.code == 5
    assert (
        f"policy.yaml: can be written by others (mode {mode:04o}); look through it, then run chmod go-w" in result.err
    )


def test_what_is_not_a_plain_file_of_this_name_is_refused(lab: Vigo) -> None:
    """A pipe, a folder, a dangling link and the other suffix: each would mean no policy without a word."""
    file = _write(lab, _STOP)
    file.unlink()
    os.mkfifo(file, 0o600)
    complaints = [_run(lab, *_WEB).err]
    file.unlink()
    file.mkdir()
    complaints.append(_run(lab, *_WEB).err)
    file.rmdir()
    file.symlink_to("nowhere")
    complaints.append(_run(lab, *_WEB).err)
    file.unlink()
    file.with_suffix(".yml").touch()
    complaints.append(_run(lab, *_WEB).err)
    expected = ["is not a regular file", "cannot be read: Is a directory", "points to a file that is not there"]
    for complaint, part in zip(
        complaints, [*expected, "is not read under this name; call it policy.yaml"], strict=True
    ):
        assert part in complaint
    assert lab.events() == []


def test_history_is_readable_whatever_the_policy_says(lab: Vigo) -> None:
    """The policy is about dispatching: what was done can be looked up all the same."""
    assert _run(lab, "--target", "web-01.example.com").code == 0
    _write(lab, "typo\n")
    assert (lab("task", "list").code, lab("task", "status").code, lab("audit", "verify").code) == (0, 0, 0)
