"""Hosts whose keys nobody checks are named before anything runs on them."""

from __future__ import annotations

from vigo.core.host_keys import forwarding_hosts, forwarding_line, insecure_hosts, insecure_line
from vigo.core.model import Hop, Host, HostKeyRule, Overrides, SshSettings

INSECURE = SshSettings(host_keys=HostKeyRule.INSECURE)


def host(name: str, ssh: SshSettings = INSECURE) -> Host:
    """Describe a host."""
    return Host(name, "", ssh=ssh)


def test_each_insecure_host_is_named_once_the_way_to_it_included() -> None:
    """A jump host that anybody may play sees where the login goes."""
    behind = SshSettings(jump=(Hop("gate", ssh=INSECURE), Hop("inner")), host_keys=HostKeyRule.STRICT)
    hosts = [host("web-01"), host("web-02"), host("db-01", behind), host("db-02", behind), host("log", SshSettings())]
    assert insecure_hosts(hosts) == ("web-01", "web-02", "gate")
    assert insecure_line(("web-01", "web-02", "gate")) == (
        "host keys of web-[01-02], gate are not checked (host_keys: insecure in the inventory)"
    )


def test_a_plan_of_checked_hosts_has_nothing_to_say() -> None:
    """Also where keys of first contacts are accepted."""
    assert insecure_hosts([host("a", SshSettings(host_keys=HostKeyRule.ACCEPT_NEW)), host("b", SshSettings())]) == ()


def test_what_the_command_line_says_of_targets_counts() -> None:
    """A rule checks the targets after all, not their hops; another way has other hops."""
    behind = host("db-01", SshSettings(jump=(Hop("gate", ssh=INSECURE),), host_keys=HostKeyRule.INSECURE))
    strict = Overrides(options=(("StrictHostKeyChecking", "yes"),))
    assert insecure_hosts([behind], strict) == ("gate",)
    assert insecure_hosts([behind], Overrides(jump=(Hop("other", ssh=INSECURE),))) == ("db-01", "other")
    assert insecure_hosts([behind], Overrides(jump=(), options=(("Ciphers", "+3des-cbc"),))) == ("db-01",)


def test_hosts_that_get_the_agent_are_named() -> None:
    """Root there can use its keys; a jump host runs nothing, so that it gets none."""
    on, off = SshSettings(forward_agent=True), SshSettings(forward_agent=False, jump=(Hop("gate", ssh=INSECURE),))
    behind = SshSettings(jump=(Hop("gate", ssh=SshSettings(forward_agent=True)),))
    hosts = [host("web-01", on), host("web-02", on), host("db-01", off), host("db-02", behind)]
    assert forwarding_hosts(hosts) == ("web-01", "web-02")
    assert forwarding_line(("web-01", "web-02")) == (
        "the agent is forwarded to web-[01-02]: root there can use its keys (forward_agent in the inventory)"
    )
