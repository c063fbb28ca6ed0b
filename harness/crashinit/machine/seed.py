"""The seed of machines in virtual time: part of their provider's name, from the command line to run.json and back."""

import re

from crashinit.errors import UsageError

VIRTUAL = "qemu-virtual"
DEFAULT = "0"
FORM = "[0-9]{1,18}"


def seeded(provider: str, seed: str = "") -> str:
    """The provider's name with the seed of its machines, such as "qemu-virtual:7"; "" is the default seed.

    Raises UsageError for a seed that is no number, and for one that the provider's machines would not heed.
    """
    if provider != VIRTUAL:
        if seed:
            raise UsageError(f"the provider '{provider}' takes no seed: give '--provider {VIRTUAL}', or no seed.")
        return provider
    if not re.fullmatch(FORM, seed or DEFAULT):
        raise UsageError(f"the seed is '{seed}': it must be a number of at most 18 digits.")
    return f"{VIRTUAL}:{int(seed or DEFAULT)}"


def options(provider: str, seed: int | None = None) -> str:
    """What the command line needs to get such a seed's machines again; "" for every provider without a seed.

    `seed`: instead of the provider's own.
    """
    found = re.fullmatch(f"{VIRTUAL}:({FORM})", provider)
    return f"--provider {VIRTUAL} --seed {found[1] if seed is None else seed}" if found else ""
