"""`--notify-command` and `--notify-url`, as an operator has them."""

from __future__ import annotations

import json

import pytest

from tests.adapters.test_notify import listening
from tests.cli.conftest import Vigo


def test_a_stop_is_told_to_a_command_and_to_a_server(lab: Vigo) -> None:
    """Both get the same notice; the exit code is the task's."""
    with listening() as (url, heard):
        stopped = lab(
            "task", "run", "exit 1", "--target", "*.web.*", "--batch-size", "1", "--max-failures", "0",
            "--notify-command", 'cat > "$VIGO_STATUS.json"', "--notify-url", f"{url}/hook",
        )  # fmt: skip
    assert stopped.code == 3, stopped.err
    (_, _, body), *more = heard.requests
    assert more == []
    notice = json.loads(body)
    assert json.loads((lab.home / "aborted.json").read_text()) == notice
    assert notice["task"] == stopped.out.split()[1]
    assert notice["counts"] == {"failed": 1, "skipped": 3}
    assert notice["hosts"] == {"failed": "web-01.example.com", "skipped": "web-[02-04].example.com"}
    assert "--notify" not in stopped.err


def test_a_notice_that_fails_changes_no_exit_code(lab: Vigo) -> None:
    """One line on standard error for each, without the path of the URL."""
    done = lab(
        "task", "run", "true", "--target", "web-01.example.com",
        "--notify-command", "exit 3", "--notify-url", "http://127.0.0.1:1/s3cret",
    )  # fmt: skip
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("--notify")]
    assert told == [
        "--notify-command: exit 3; nobody was told, the task is as it says above",
        "--notify-url http://127.0.0.1:1: no answer: Connection refused; nobody was told, the task is as it says above",
    ]
    assert "s3cret" not in done.err


@pytest.mark.parametrize(
    "flags", [("--notify-url", "ftp://a/"), ("--notify-url", "http://u:p@a/"), ("--notify-command", " ")]
)
def test_a_notice_that_cannot_be_sent_is_refused_before_anything_happens(lab: Vigo, flags: tuple[str, str]) -> None:
    """Exit 2 and no task."""
    refused = lab("task", "run", "true", "--target", "all", *flags)
    assert refused.code == 2
    assert flags[0] in refused.err
    assert lab("task", "list", "-o", "tsv").out.count("\n") <= 1
