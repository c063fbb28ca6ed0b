"""What can be struck beside an init, by what the adapter says."""

import pytest
from crashinit.adapters import load, requests
from crashinit.errors import UsageError


@pytest.mark.parametrize(
    ("driver", "during", "word"),
    [
        ("reference", "shutdown", "shutdown"),
        ("reference", "create", "create"),
        ("reference", "use", "get"),
        ("loop-dir", "remove", "remove"),
    ],
)
def test_the_adapters_own_command_is_struck(driver: str, during: str, word: str) -> None:
    """To use a volume is to mount it."""
    assert word in requests.words_of(load(driver), during)


def test_a_daemon_is_refused() -> None:
    """It does itself what it is asked for, so that no command could be struck."""
    with pytest.raises(UsageError, match=r"'dockerd' is a daemon.*'during: shutdown' strikes a command"):
        requests.words_of(load("dockerd"), "shutdown")


def test_what_the_adapter_does_not_say_cannot_be_struck() -> None:
    """The sentence names the key."""
    with pytest.raises(UsageError, match="'containers-storage' has no 'remove' in \\[volume\\]"):
        requests.words_of(load("containers-storage"), "remove")
