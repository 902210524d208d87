"""Settings as a list to read: each effective value with the place that says it, for `inventory show --ssh`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from vigo.adapters.ssh_config import FORWARDED_SOCKET, Found
from vigo.adapters.ssh_settings import CONNECT_TIMEOUT_MS
from vigo.adapters.ssh_settings_read import BEHIND_A_HOP, DEFAULT, INVENTORY, SYSTEM_KNOWN_HOSTS, Settings
from vigo.core.inventory import Inventory, Origin, origins
from vigo.core.model import TraitValue

_Told: TypeAlias = TraitValue | None
_MS_PER_S: Final = 1000

_ROWS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Settings], _Told]]]] = {
    "address": (("hostname",), lambda is_: is_.name),
    "port": (("port",), lambda is_: is_.port),
    "user": (("user",), lambda is_: is_.user),
    "jump": (("proxyjump",), lambda is_: tuple(f"{hop.user}@{hop.asked}:{hop.port}" for hop in is_.jump) or "none"),
    "proxy_command": (("proxycommand",), lambda is_: is_.proxy_command),
    "identity": (("identityfile",), lambda is_: "the default files" if is_.identity_files is None else is_.identity_files),
    "certificate": (("certificatefile",), lambda is_: is_.certificate_files or None),
    "identities_only": (("identitiesonly",), lambda is_: is_.identities_only),
    "agent": (("identityagent",), lambda is_: is_.agent or "none"),
    "forward_agent": (("forwardagent", FORWARDED_SOCKET), lambda is_: is_.forward_agent or False),
    "authentications": (
        ("preferredauthentications", "pubkeyauthentication", "passwordauthentication", "kbdinteractiveauthentication"),
        lambda is_: is_.authentications,
    ),
    "host_keys": (("stricthostkeychecking",), lambda is_: is_.host_keys.value),
    "host_key_alias": (("hostkeyalias",), lambda is_: is_.host_key_names[0] if "hostkeyalias" in is_.values else None),
    "known_hosts": (("userknownhostsfile", "globalknownhostsfile"), lambda is_: is_.known_hosts),
    "connect_timeout": (("connecttimeout",), lambda is_: _seconds(is_.connect_timeout_ms or CONNECT_TIMEOUT_MS)),
    "keepalive": (("serveraliveinterval",), lambda is_: _seconds(is_.keepalive_ms)),
    "keepalive_count": (("serveralivecountmax",), lambda is_: is_.keepalive_count),
    "ciphers": (("ciphers",), lambda is_: is_.ciphers),
    "kex_algorithms": (("kexalgorithms",), lambda is_: is_.kex_algorithms),
    "macs": (("macs",), lambda is_: is_.macs),
    "host_key_algorithms": (("hostkeyalgorithms",), lambda is_: is_.host_key_algorithms),
    "pubkey_algorithms": (("pubkeyacceptedalgorithms",), lambda is_: is_.signature_algorithms),
    "address_family": (("addressfamily",), lambda is_: is_.address_family),
    "bind_address": (("bindaddress",), lambda is_: is_.bind_address),
}  # fmt: skip
"""Name -> the keywords that decide it, and its value."""

_INVENTORY_KEYS: Final = {
    "address": "address",
    "connect_timeout": "ssh.connect_timeout_ms",
    "keepalive": "ssh.keepalive_ms",
}


def effective(settings: Settings, fleet: Inventory) -> list[tuple[str, tuple[Origin, ...]]]:
    """Return the name of the host and of each hop, with its effective values and where each comes from."""
    own = _places(fleet, settings.asked)
    return [(step.asked, tuple(_rows(step, fleet, own))) for step in (settings, *settings.jump)]


def _rows(settings: Settings, fleet: Inventory, own: Mapping[str, tuple[TraitValue, str]]) -> Iterator[Origin]:
    places = _places(fleet, settings.asked)
    for key, (keywords, value_of) in _ROWS.items():
        value = value_of(settings)
        said = [found for word in keywords for found in settings.values.get(word, ())]
        if value is None:
            continue
        if key == "known_hosts":
            yield from (_row(key, path, found, places, own) for path, found in _known_hosts(settings))
        elif isinstance(value, tuple) and len(value) == len(said) > 1:  # each of several lines has its own place
            yield from (_row(key, item, found, places, own) for item, found in zip(value, said, strict=True))
        else:
            yield _row(key, value, said[0] if said else None, places, own)


def _known_hosts(settings: Settings) -> Iterator[tuple[str, Found | None]]:
    """Return each file that counts with what says it: the user's, then the machine's."""
    user = settings.values.get("userknownhostsfile", (None,))[0]
    system = settings.values.get("globalknownhostsfile", (None,))[0]
    machines = SYSTEM_KNOWN_HOSTS if system is None else system.value if isinstance(system.value, tuple) else ()
    for path in settings.known_hosts:
        yield path, system if path in machines else user


def _row(
    key: str,
    value: TraitValue,
    found: Found | None,
    places: Mapping[str, tuple[TraitValue, str]],
    own: Mapping[str, tuple[TraitValue, str]],
) -> Origin:
    if found is None or found.origin == DEFAULT:
        return Origin(key, value, DEFAULT)
    if found.origin != INVENTORY:
        return Origin(key, value, _layer(found), found.origin)
    stated, place = places.get(_INVENTORY_KEYS.get(key, f"ssh.{key}"), (None, ""))
    # What is written beside the name of a hop stands where the way does.
    beside = own.get("ssh.jump", (None, ""))[1]
    is_beside = key in ("user", "port") and stated != value
    return Origin(key, value, INVENTORY, beside if is_beside or not place else place)


def _layer(found: Found) -> str:
    if found.origin == BEHIND_A_HOP:
        return "hop"
    return "flag" if found.origin.startswith("--") else "ssh_config"


def _places(fleet: Inventory, name: str) -> dict[str, tuple[TraitValue, str]]:
    host = fleet.get(name)
    return {} if host is None else {origin.key: (origin.value, origin.place) for origin in origins(fleet, host)}


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / _MS_PER_S:g}"
