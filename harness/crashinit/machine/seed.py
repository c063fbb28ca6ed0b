"""The seed of machines in virtual time, and the guest: parts of their provider's name, as in "qemu:7@debian13".

From the command line to the workers they are one word; a run's record has the guest apart.

A machine has all that is random of its seed, a text. `hello` (Channel.hello) gives it

- 64 bytes of entropy for the kernel's pool: SHA-512 of the seed;
- the wall clock: 2026-01-02 and as many seconds as the first three of these bytes say, at most 194 days. A fork, and
  what follows a reboot, go on from the time that was reached. What a template holds was made before, on 2026-01-01;
- delays: before each operation of a gated run the gate waits for none (in half of the cases) or 0.05 to 50 ms, drawn by
  a generator that begins with the seed: udev and the kernel come to do more or less before the operation. With seed 0
  there are no delays.

How long an instruction takes (8 ns) is the same for all: it is part of a template, and each would need its own.
"""

import re
import shlex

from crashinit.errors import UsageError
from crashinit.machine.guests.guest import DEFAULT as DEFAULT_GUEST

DEFAULT_PROVIDER = "qemu"
VIRTUAL = "qemu-virtual"
REAL = "qemu-real"
DEFAULT = "0"
FORM = "[0-9]{1,18}"
DAY = 86400.0  # seconds


def seeded(provider: str, seed: str = "", seeds: int = 1) -> str:
    """The provider's name with the seed of its machines, such as "qemu:7"; "" is the default seed.

    The default provider has none if none is asked for, neither one nor the first of several `seeds`.
    Raises UsageError for a seed that is no number, and for one that the provider's machines would not heed.
    """
    if provider not in (DEFAULT_PROVIDER, VIRTUAL) and seed:
        raise UsageError(f"the provider '{provider}' takes no seed: give '--provider {DEFAULT_PROVIDER}', or no seed.")
    if not seed and provider != VIRTUAL and (provider != DEFAULT_PROVIDER or seeds == 1):
        return provider
    if not re.fullmatch(FORM, seed or DEFAULT):
        raise UsageError(f"the seed is '{seed}': it must be a number of at most 18 digits.")
    return f"{provider}:{int(seed or DEFAULT)}"


def options(provider: str, seed: int | None = None) -> str:
    """What the command line needs to get such machines again, seed and time; "" for those that it needs nothing for.

    `seed`: instead of the provider's own.
    """
    name, guest = apart(provider)
    words = [f"--provider {REAL}"] if name == REAL else []
    if found := re.fullmatch(f"({DEFAULT_PROVIDER}|{VIRTUAL})(?::({FORM}))?", name):
        own = found[2] if seed is None else str(seed)
        words = [f"--provider {VIRTUAL}"] * (found[1] == VIRTUAL) + [f"--seed {own}"] * bool(own)
    return " ".join([*words, *[f"--guest {shlex.quote(guest)}"] * (guest != DEFAULT_GUEST)])


def with_guest(provider: str, guest: str) -> str:
    """The provider's name with that of its machines' guest; the default guest goes without saying."""
    return f"{provider}@{guest}" if guest not in ("", DEFAULT_GUEST) else provider


def apart(provider: str) -> tuple[str, str]:
    """The provider's name without its guest, and the guest."""
    name, _, guest = provider.partition("@")
    return name, guest or DEFAULT_GUEST


def delays(seed: str) -> str:
    """What the delays of a seed's machines are drawn from; "": there are none, as while a template is made."""
    return seed if seed.isdigit() and seed != DEFAULT else ""


def moment(seed: str, entropy: bytes) -> float:
    """When the clock of a seed's machines begins, in seconds since 2026 began; that of templates before all of them."""
    return DAY + int.from_bytes(entropy[:3], "big") if seed.isdigit() else 0.0
