"""The reference page's examples, run as they stand there on the lab; the health URL is the only change."""

from __future__ import annotations

import re
from importlib.metadata import distribution

import pytest

from tests.cli.conftest import Vigo

pytestmark = pytest.mark.timeout(180)

_WEB = [f"web-0{number}.example.com" for number in (1, 2, 3, 4)]


def _golden(text: str) -> str:
    """Put placeholders where ids, clock times, durations and what `uptime` says differ from run to run."""
    text = re.sub(r"\bt[0-9a-z]{7}\b", "<ID>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "<TIME>", text)
    text = re.sub(r"\b\d+ms|\d+\.\ds\b", "<DURATION>", text)
    return re.sub(r"(?m)^ \d\d:\d\d:\d\d up .*$", "<UPTIME>", text)


def test_an_ad_hoc_command_prints_the_page_s_form(lab: Vigo) -> None:
    """One line for the task, then header and output of each host in plan order, and nothing else on stdout."""
    result = lab("task", "run", "uptime", "--target", "*.web.*")
    blocks = "".join(f"--- {host} [complete] exit=0 <DURATION>\n<UPTIME>\n" for host in _WEB)
    assert (result.code, _golden(result.out)) == (0, "Task <ID> dispatched\n" + blocks)


def test_a_named_task_takes_its_param(lab: Vigo) -> None:
    """The page's `restart-app` with `env=staging` restarts `app-staging`."""
    result = lab("task", "run", "restart-app", "--target", "*.web.*", "--param", "env=staging")
    assert result.code == 0, result.err
    assert _golden(result.out).count("[complete] exit=0 <DURATION>") == 4
    shown = lab("task", "run", "restart-app", "--target", "web-01.example.com", "--param", "env=staging", "--dry-run")
    assert "systemctl restart app-staging" in shown.err


def test_a_rolling_restart_passes_its_gates(lab: Vigo) -> None:
    """The page's rolling restart: four batches of one host, a health check after each."""
    health = lab("lab", "status", "-o", "json").json()["health_url"]
    result = lab(
        "task", "run", "systemctl restart nginx", "--target", "*.web.*",
        "--batch-size", "25%", "--max-failures", "2", "--health-check-url", health,
    )  # fmt: skip
    assert result.code == 0, result.err
    assert _golden(result.out).count("[complete] exit=0 <DURATION>") == 4
    assert [
        line for line in result.err.splitlines() if "health check after batch" in line and "passed" in line
    ].__len__() == 4


def test_a_dry_run_prints_the_plan_to_the_byte(lab: Vigo) -> None:
    """Two batches of two hosts, an empty line before and after, and the counts."""
    result = lab("task", "run", "uptime", "--target", "*.web.*", "--batch-size", "2", "--dry-run")
    assert result.out == (
        "Dry-run batch plan:\n"
        "\n"
        "  Batch 0: web-01.example.com, web-02.example.com\n"
        "  Batch 1: web-03.example.com, web-04.example.com\n"
        "\n"
        "2 batch(es), 4 target(s), 0 offline\n"
    )
    assert result.code == 0


def test_status_prints_facts_then_blocks(lab: Vigo) -> None:
    """The facts are aligned as on the page; the blocks are those of the run."""
    run = lab("task", "run", "uptime", "--target", "*.web.*", "--operator", "admin")
    task = run.out.split()[1]
    result = lab("task", "status", task)
    facts = (
        "Task:     <ID>\n"
        "Command:  uptime\n"
        "Target:   *.web.*\n"
        "Operator: admin\n"
        "Status:   complete\n"
        "Targets:  4\n"
        "Created:  <TIME>\n"
        "Started:  <TIME>\n"
        "Finished: <TIME>\n"
        "\n"
    )
    assert result.code == 0
    assert _golden(result.out) == facts + _golden(run.out.split("\n", 1)[1])


def test_list_prints_the_page_s_columns(lab: Vigo) -> None:
    """Newest first, columns where the page has them; piped, nothing is cut."""
    lab("task", "run", "systemctl restart nginx", "--target", "*.web.*")
    lab("task", "run", "uptime", "--target", "*.web.*")
    result = lab("task", "list", "--limit", "5")
    assert _golden(result.out).replace("<ID>", "t1234567") == (
        "ID          COMMAND                 TARGET      STATUS     TARGETS  CREATED\n"
        "t1234567    uptime                  *.web.*     complete   4        <TIME>\n"
        "t1234567    systemctl restart nginx *.web.*     complete   4        <TIME>\n"
    )


def test_vigocli_is_the_same_program() -> None:
    """Both commands are installed, so that the page's examples run verbatim."""
    scripts = {entry.name: entry.value for entry in distribution("vigo").entry_points}
    assert scripts["vigo"] == scripts["vigocli"]
