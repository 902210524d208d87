"""The keywords of ssh_config: which ones vigo follows, which ones it knows and need not follow, and how each is read.

Rule 1: what is followed is read as ssh reads it. What says nothing about who is reached and how is known and passed over.
Rule 2: what would change who is reached, and is not built, is refused where it applies; a keyword that nobody knows is
        refused like a slip of the pen.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Final, TypeAlias

from vigo.adapters.ssh_config_words import BLANKS, BadLine, arguments, keyword_of
from vigo.core.errors import UsageError
from vigo.core.jumps import split_hops

Value: TypeAlias = str | int | bool | tuple[str, ...] | None
_Read: TypeAlias = Callable[[list[str], str], Value]

_TRUE: Final = {"yes": True, "true": True, "no": False, "false": False}
_TIME: Final = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE | re.ASCII)
_TIME_PART: Final = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE | re.ASCII)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SECONDS_MAX: Final = 2**31 - 1
_PORT_MAX: Final = 65_535


def _one(words: list[str], _rest: str) -> str:
    if not words or not words[0]:
        raise BadLine("has no value; write one")
    if len(words) > 1:
        raise BadLine(f"has more than one value, {words[1]!r} is too much; quote a value with blanks")
    return words[0]


def _flag(words: list[str], rest: str) -> bool:
    word = _one(words, rest)
    if word.lower() not in _TRUE:
        raise BadLine(f"{word!r} is neither yes nor no; write one of them")
    return _TRUE[word.lower()]


def _number(words: list[str], rest: str) -> int:
    word = _one(words, rest)
    if not (word.isascii() and word.isdigit()) or int(word) > _SECONDS_MAX:
        raise BadLine(f"{word!r} is no whole number; write one")
    return int(word)


def _port(words: list[str], rest: str) -> int:
    return port_number(_one(words, rest))


def port_number(word: str) -> int:
    """Return a port that is given as number or as the name of a service. Raises BadLine."""
    if word.isascii() and word.isdigit() and 1 <= int(word) <= _PORT_MAX:
        return int(word)
    try:
        return socket.getservbyname(word, "tcp")
    except OSError:
        raise BadLine(f"{word!r} is no port; write 1-{_PORT_MAX}") from None


def _time(words: list[str], rest: str) -> int | None:
    """Return milliseconds; None for `none`."""
    word = _one(words, rest)
    if word.lower() == "none":
        return None
    if not _TIME.fullmatch(word):
        raise BadLine(f"{word!r} is no time; write seconds (60) or a unit (1m)")
    seconds = sum(int(number) * _SECONDS[unit.lower()] for number, unit in _TIME_PART.findall(word))
    if seconds > _SECONDS_MAX:
        raise BadLine(f"{word!r} is longer than a life; write less")
    return seconds * 1000


def _paths(words: list[str], _rest: str) -> tuple[str, ...]:
    if not words or not all(words):
        raise BadLine("has no value; write a path, or none")
    if len(words) > 1 and any(word.lower() == "none" for word in words):
        raise BadLine("says none and more; write one or the other")
    return tuple(words)


def _text(_words: list[str], rest: str) -> str:
    text = rest.lstrip(BLANKS + "=")
    if not text:
        raise BadLine("has no value; write one")
    return text


def _jump(words: list[str], rest: str) -> str:
    text, comment, _ = _text(words, rest).partition("#")
    text = text.rstrip(BLANKS)
    if comment and text.lower() == "none":
        raise BadLine("none is followed by a comment, and ssh takes it for a host of that name; move the comment")
    hops_of(text)
    return text


def hops_of(text: str) -> tuple[tuple[str | None, str, int | None], ...]:
    """Return (user, host, port) of each hop of `[user@]host[:port],…` or `ssh://…`; `none` has no hops. Raises BadLine."""
    if text.lower() == "none":
        return ()
    try:
        split = split_hops(text)
    except UsageError as error:
        raise BadLine(str(error).removeprefix("--jump: ")) from None
    return tuple((user, host, None if port is None else port_number(port)) for user, host, port in split)


def _forward(words: list[str], rest: str) -> Value:
    word = _one(words, rest)
    return _TRUE.get(word.lower(), word)


def _host_keys(words: list[str], rest: str) -> str:
    word = _one(words, rest).lower()
    meaning = {"yes": "strict", "true": "strict", "ask": "strict", "accept-new": "accept-new"}
    if word in meaning:
        return meaning[word]
    if word in {"no", "off", "false"}:
        return "off"
    raise BadLine(f"{word!r} is unknown; write yes, ask or accept-new")


def _family(words: list[str], rest: str) -> str:
    word = _one(words, rest).lower()
    if word not in {"any", "inet", "inet6"}:
        raise BadLine(f"{word!r} is unknown; write any, inet or inet6")
    return word


FOLLOWED: Final[Mapping[str, tuple[str, _Read]]] = {
    word.lower(): (word, read)
    for word, read in {
        "AddressFamily": _family,
        "BindAddress": _one,
        "BindInterface": _one,
        "CanonicalizeHostname": _one,
        "CertificateFile": _one,
        "Ciphers": _one,
        "ConnectTimeout": _time,
        "ForwardAgent": _forward,
        "GlobalKnownHostsFile": _paths,
        "HostKeyAlgorithms": _one,
        "HostKeyAlias": _one,
        "HostName": _one,
        "IdentitiesOnly": _flag,
        "IdentityAgent": _one,
        "IdentityFile": _one,
        "IgnoreUnknown": _one,
        "KbdInteractiveAuthentication": _flag,
        "KexAlgorithms": _one,
        "MACs": _one,
        "PasswordAuthentication": _flag,
        "Port": _port,
        "PreferredAuthentications": _one,
        "ProxyCommand": _text,
        "ProxyJump": _jump,
        "ProxyUseFdpass": _flag,
        "PubkeyAcceptedAlgorithms": _one,
        "PubkeyAuthentication": _one,
        "RefuseConnection": _one,
        "RevokedHostKeys": _one,
        "ServerAliveCountMax": _number,
        "ServerAliveInterval": _time,
        "StrictHostKeyChecking": _host_keys,
        "Tag": _one,
        "User": _one,
        "UserKnownHostsFile": _paths,
    }.items()
}
"""Keyword in lower case -> its name as ssh_config(5) writes it, and how its value is read."""

ALIASES: Final = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "identityfile2": "identityfile",
    "protocolkeepalives": "serveraliveinterval",  # Debian's
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
    "tisauthentication": "kbdinteractiveauthentication",
}
"""Older names of what is followed."""

ACCUMULATING: Final = frozenset({"certificatefile", "identityfile"})
"""Keywords of which every line counts, and not the first alone."""

STRUCTURE: Final = frozenset({"host", "match", "include"})

PASSED_OVER: Final = frozenset(
    """
    AddKeysToAgent BatchMode CanonicalDomains CanonicalizeFallbackLocal CanonicalizeMaxDots CanonicalizePermittedCNAMEs
    CASignatureAlgorithms ChannelTimeout CheckHostIP Cipher ClearAllForwardings Compression CompressionLevel
    ConnectionAttempts ControlMaster ControlPath ControlPersist DynamicForward EnableEscapeCommandline EnableSSHKeysign
    EscapeChar ExitOnForwardFailure FallBackToRsh FingerprintHash ForkAfterAuthentication ForwardX11 ForwardX11Timeout
    ForwardX11Trusted GatewayPorts GlobalKnownHostsFile2 GSSAPIAuthentication GSSAPIClientIdentity
    GSSAPIDelegateCredentials GSSAPIKexAlgorithms GSSAPIKeyExchange GSSAPIRenewalForcesRekey GSSAPIServerIdentity
    GSSAPITrustDns HashKnownHosts HostbasedAcceptedAlgorithms HostbasedAuthentication HostbasedKeyTypes IPQoS
    KbdInteractiveDevices KeepAlive KnownHostsCommand LocalCommand LocalForward LogLevel LogVerbose
    NoHostAuthenticationForLocalhost NumberOfPasswordPrompts ObscureKeystrokeTiming PermitLocalCommand PermitRemoteOpen
    PKCS11Provider Protocol RekeyLimit RemoteCommand RemoteForward RequestTTY RequiredRSASize
    RhostsAuthentication RhostsRSAAuthentication RSAAuthentication SecurityKeyProvider SendEnv SessionType SetEnv
    SetupTimeOut SmartcardDevice StdinNull StreamLocalBindMask StreamLocalBindUnlink SyslogFacility TCPKeepAlive
    Tunnel TunnelDevice UpdateHostKeys UseBlacklistedKeys UseKeychain UsePrivilegedPort UserKnownHostsFile2 UseRoaming
    UseRsh VerifyHostKeyDNS VersionAddendum VisualHostKey WarnWeakCrypto XAuthLocation
    """.lower().split()
)
"""Keywords that are known and need not be followed: they speak of terminals, forwardings, logs, or are history."""

_BY_FLAG_REFUSED: Final = {
    "hostname": "would send every target to one host; set `address` in the inventory",
    "ignoreunknown": "is for files",
}


def did_you_mean(word: str) -> str:
    """Return `did you mean 'X'?` with the nearest keyword, or an empty text."""
    names = {
        **{key: name for key, (name, _) in FOLLOWED.items()},
        **{key: key for key in ALIASES | dict.fromkeys(PASSED_OVER)},
    }
    near = get_close_matches(word[:40].lower(), names, 1)
    return f"did you mean {names[near[0]]!r}?" if near else ""


def read_value(key: str, rest: str) -> Value:
    """Return the value of a keyword that is followed. Raises BadLine."""
    return FOLLOWED[key][1](arguments(rest), rest)


def read_option(text: str) -> tuple[str, str]:
    """Return keyword and value of one `--ssh-option`, `Keyword=Value` or `Keyword Value`. Raises UsageError."""
    word, rest = keyword_of(text)
    key = ALIASES.get(word, word)
    if key in _BY_FLAG_REFUSED:
        raise UsageError(f"--ssh-option {text[:80]!r}: {FOLLOWED[key][0]} {_BY_FLAG_REFUSED[key]}")
    if key not in FOLLOWED:
        if key in PASSED_OVER or key in STRUCTURE:
            raise UsageError(f"--ssh-option {text[:80]!r}: vigo does nothing with this keyword; leave it out")
        hint = did_you_mean(word) or "write one keyword of ssh_config and its value: --ssh-option IdentitiesOnly=yes"
        raise UsageError(f"--ssh-option {text[:80]!r}: unknown keyword; {hint}")
    name = FOLLOWED[key][0]
    try:
        value = read_value(key, rest)
    except BadLine as error:
        raise UsageError(f"--ssh-option {text[:80]!r}: {name} {error}") from None
    if (key, value) == ("stricthostkeychecking", "off"):
        raise UsageError(
            f"--ssh-option {text[:80]!r}: no flag switches the check of host keys off;"
            " --accept-new-host-keys records new ones, `host_keys: insecure` stands in the inventory, per host"
        )
    return name, rest
