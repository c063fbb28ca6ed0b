"""Seeds in providers' names."""

import pytest
from crashinit.errors import UsageError
from crashinit.machine.provider import get_provider
from crashinit.machine.qemu.virtual import VirtualProvider
from crashinit.machine.seed import apart, options, seeded, with_guest


@pytest.mark.parametrize(("seed", "name"), [("", "qemu-virtual:0"), ("7", "qemu-virtual:7"), ("007", "qemu-virtual:7")])
def test_seed_is_part_of_the_name(seed: str, name: str) -> None:
    """A provider in virtual time always has a seed in its name, and gives it to its machines."""
    assert seeded("qemu-virtual", seed) == name
    provider = get_provider(name)
    assert isinstance(provider, VirtualProvider)
    assert provider.seed == name.partition(":")[2]


def test_the_guest_is_part_of_the_name() -> None:
    """With the seed or without; the default guest is not said, and the options for a command name what is."""
    assert with_guest("qemu:7", "debian13") == "qemu:7@debian13"
    assert with_guest("qemu", "debian12") == with_guest("qemu", "") == "qemu"
    assert apart("qemu:7@a dir/g@2.toml") == ("qemu:7", "a dir/g@2.toml")
    assert apart("qemu-cold") == ("qemu-cold", "debian12")
    assert options("qemu-virtual:7@a dir/g.toml") == "--provider qemu-virtual --seed 7 --guest 'a dir/g.toml'"
    assert options("qemu@sid") == "--guest sid"
    assert get_provider("qemu-real@debian13").guest == "debian13"
    with pytest.raises(UsageError, match="there is no guest 'debian14'"):
        get_provider("qemu-real@debian14")


def test_other_providers_have_none() -> None:
    """A provider whose machines would not heed a seed refuses it, and without one its name stays as it is."""
    assert seeded("qemu", "") == "qemu"
    assert seeded("qemu", seeds=3) == "qemu:0"
    assert seeded("qemu-real", "", 3) == "qemu-real"
    for provider in ("qemu-real", "qemu-cold", "vagrant"):
        with pytest.raises(UsageError, match=f"the provider '{provider}' takes no seed: give '--provider qemu'"):
            seeded(provider, "7")


@pytest.mark.parametrize(("asked", "seed"), [("7", "7"), ("", "0")])
def test_emulated_machines_are_in_virtual_time(monkeypatch: pytest.MonkeyPatch, asked: str, seed: str) -> None:
    """The default provider's have the seed that is asked for, or seed 0; it refuses one where KVM keeps real time."""
    monkeypatch.setenv("CRASHINIT_ACCEL", "tcg")
    provider = get_provider(seeded("qemu", asked))
    assert isinstance(provider, VirtualProvider)
    assert provider.seed == seed

    monkeypatch.setenv("CRASHINIT_ACCEL", "kvm")
    assert not isinstance(get_provider("qemu"), VirtualProvider)
    with pytest.raises(UsageError, match="machines run in real time under KVM"):
        get_provider("qemu:7")


@pytest.mark.parametrize("seed", ["seven", "-1", "1.5", "7;id", "1" * 19])
def test_a_seed_is_a_number(seed: str) -> None:
    """Anything else is refused, with what it was."""
    with pytest.raises(UsageError, match="it must be a number"):
        seeded("qemu-virtual", seed)


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("qemu-virtual:7", "--provider qemu-virtual --seed 7"),
        ("qemu", ""),
        ("qemu:7", "--seed 7"),
        ("qemu-real", "--provider qemu-real"),
        ("qemu-virtual:$(id)", ""),
        ("qemu-virtual:7 --out x", ""),
    ],
)
def test_options(provider: str, said: str) -> None:
    """The command that repeats a run names the seed; a name that is none of ours adds nothing to it."""
    assert options(provider) == said
