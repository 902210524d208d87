"""Where vigo's folders are: overrides, XDG, HOME, and a clear refusal when nothing says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vigo.adapters.places import cache_folder, config_folder, data_folder, state_folder
from vigo.core.errors import ConfigError, JournalError, VigoError

Place = Callable[[Mapping[str, str]], Path]
PLACES: list[tuple[Place, str, str, type[VigoError]]] = [
    (data_folder, "DATA", ".local/share", JournalError),
    (config_folder, "CONFIG", ".config", ConfigError),
    (cache_folder, "CACHE", ".cache", ConfigError),
    (state_folder, "STATE", ".local/state", ConfigError),
]


@pytest.mark.parametrize(("place", "noun", "below", "error"), PLACES)
def test_the_override_wins_then_xdg_then_home(place: Place, noun: str, below: str, error: type[VigoError]) -> None:
    """Empty and relative XDG and HOME values count as unset, as the XDG specification says."""
    own, xdg, home = {f"VIGO_{noun}_DIR": "/own"}, {f"XDG_{noun}_HOME": "/xdg"}, {"HOME": "/home/ops"}
    assert place({**own, **xdg, **home}) == Path("/own")
    assert place({f"VIGO_{noun}_DIR": "rel"}) == Path.cwd() / "rel"
    assert place({**xdg, **home, f"VIGO_{noun}_DIR": ""}) == Path("/xdg/vigo")
    assert place({**home, f"XDG_{noun}_HOME": "relative"}) == Path("/home/ops") / below / "vigo"
    for nowhere in ({}, {"HOME": ""}, {"HOME": "relative"}):
        with pytest.raises(error, match=f"set HOME or VIGO_{noun}_DIR"):
            place(nowhere)
