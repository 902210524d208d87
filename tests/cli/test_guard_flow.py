"""The dispatch guard at the command line: the page's words, the prompt, `--force`, and what goes on record."""

from __future__ import annotations

import json
import shlex

import pexpect
import pytest

from tests.cli.conftest import Vigo

pytestmark = pytest.mark.timeout(180)

_STOP = ["task", "run", "sudo systemctl stop vigo.service", "--target", "*.web.*"]
_WARNING = (
    "warning: server-side guardrail blocked this command\n"
    "  reason:  command matches dangerous pattern\n"
    "  pattern: systemctl stop vigo\n"
    "  note:    the agent's hardcoded guardrails still apply on each envoy.\n"
)


def test_without_a_terminal_it_is_blocked_and_on_record(lab: Vigo) -> None:
    """The page's warning on stderr, exit 6, and `task.blocked` with the matched pattern; no task was dispatched."""
    result = lab(*_STOP)
    assert (result.code, result.out) == (6, "")
    assert _WARNING in result.err
    [event] = lab.events()
    assert event["kind"] == "task.blocked"
    assert "systemctl stop vigo" in json.dumps(event)
    assert "blocked" in lab("task", "list").out


@pytest.mark.parametrize("answer", ["y", "yes", "Y", "YES"])
def test_a_yes_at_the_prompt_is_recorded_as_forced(lab: Vigo, answer: str) -> None:
    """The documented words run it; the hard guard then refuses on each target, and nothing reached a server."""
    with lab.on_a_terminal(*_STOP) as child:
        child.expect_exact("Proceed anyway? [y/N] ")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        assert child.before is not None
        assert child.before.count("[rejected] systemctl stop vigo") >= 4
    assert child.wait() == 1
    dispatch = next(event for event in lab.events() if event["kind"] == "task.dispatch")
    assert '"forced": true' in json.dumps(dispatch)
    assert not [event for event in lab.events() if event["kind"] == "host.started"]


@pytest.mark.parametrize("answer", ["", "n", "no", "yep", "j"])
def test_any_other_answer_blocks(lab: Vigo, answer: str) -> None:
    """Only the documented words run it."""
    with lab.on_a_terminal(*_STOP) as child:
        child.expect_exact("Proceed anyway? [y/N] ")
        child.sendline(answer)
        child.expect(pexpect.EOF)
    assert child.wait() == 6
    assert [event["kind"] for event in lab.events()] == ["task.blocked"]


@pytest.mark.parametrize("key", ["d", "c"])
def test_leaving_the_prompt_blocks(lab: Vigo, key: str) -> None:
    """The end of input and Ctrl-C are no yes, and they are on record as well."""
    with lab.on_a_terminal(*_STOP) as child:
        child.expect_exact("Proceed anyway? [y/N] ")
        child.sendcontrol(key)
        child.expect(pexpect.EOF)
    assert child.wait() == 6
    assert [event["kind"] for event in lab.events()] == ["task.blocked"]


def test_force_skips_prompt_and_guard_but_not_the_hard_guard(lab: Vigo) -> None:
    """All targets come back rejected, exit 1, and the chain holds `forced: true`."""
    result = lab(*_STOP, "--force")
    assert result.code == 1
    assert result.out.count("[rejected] systemctl stop vigo\n") == 4
    dispatch = lab.events()[0]
    assert (dispatch["kind"], '"forced": true' in json.dumps(dispatch)) == ("task.dispatch", True)


def test_force_with_nothing_to_force_is_recorded_as_false(lab: Vigo) -> None:
    """`forced` says that a finding was passed over, not that a flag was typed."""
    assert lab("task", "run", "true", "--target", "web-01.example.com", "--force").code == 0
    assert '"forced": false' in json.dumps(lab.events()[0])


def test_a_dry_run_shows_the_same_verdict_and_records_nothing(lab: Vigo) -> None:
    """Exit 6, or 0 with `--force`; it asks nothing and leaves no event."""
    refused = lab(*_STOP, "--dry-run")
    forced = lab(*_STOP, "--dry-run", "--force")
    assert (refused.code, forced.code) == (6, 0)
    assert _WARNING in refused.err
    assert _WARNING in forced.err
    assert refused.out == forced.out != ""
    assert lab.events() == []


_HARMLESS = "; rm -rf /srv/vigo"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["act", "--param", "verb=stop", "--param", "unit=vigo"], 6),
        (["act", "--param", "verb=stop", "--param", "unit=vigo.service"], 6),
        (["act", "--param", "verb=status", "--param", "unit=vigo"], 0),
        (["act", "--param", "verb=stop", "--param", "unit=nginx"], 0),
        (["act", "--param", "verb=status", "--param", f"unit={_HARMLESS}"], 0),
        (["act", "--param", f"verb={_HARMLESS}", "--param", "unit=nginx"], 0),
        (["say", "--param", f"text={_HARMLESS}"], 0),
        (["code", "--param", f"text=true{_HARMLESS}"], 6),
    ],
)
def test_what_is_judged_is_the_text_after_the_params(vigo: Vigo, words: list[str], code: int) -> None:
    """A param that completes a dangerous command is caught; quoted as one word it is harmless, unless a shell reads it."""
    (vigo.home / "inventory").mkdir()
    (vigo.home / "inventory" / "tasks.yaml").write_text(
        "hosts: {h1: {address: 127.0.0.1}}\n"
        "tasks:\n"
        "  act: {command: 'systemctl {{ verb }} {{ unit }}', params: {verb: {}, unit: {}}}\n"
        "  say: {command: 'echo {{ text }}', params: {text: {}}}\n"
        "  code: {command: 'sh -c {{ text }}', params: {text: {}}}\n"
    )
    result = vigo("task", "run", *words, "--target", "h1", "--dry-run", "--no-probe")
    assert result.code == code, result.err
    assert ("guardrail blocked" in result.err) is (code == 6)


@pytest.mark.parametrize("redirection", ["</dev/null", "2>said"])
def test_half_a_terminal_is_none(lab: Vigo, redirection: str) -> None:
    """Where the question could not be seen or the answer not typed, nothing is asked."""
    command = f"exec {shlex.join(lab.command(*_STOP))} {redirection}"
    child = pexpect.spawn("/bin/sh", ["-c", command], env=lab.env, cwd=str(lab.home), encoding="utf-8", timeout=60)
    child.expect(pexpect.EOF)
    assert "Proceed anyway?" not in (child.before or "")
    assert child.wait() == 6
    assert [event["kind"] for event in lab.events()] == ["task.blocked"]
