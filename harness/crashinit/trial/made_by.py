"""A root that another version of a driver made: an upgrade or a downgrade, on one guest or from one to another.

The other driver makes it in a machine of its own, as a user's root is made, and shuts down. What lies below the root is
carried over as a tar(1) archive, with owners, extended attributes and holes.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crashinit import adapters
from crashinit.adapters.driven import Driven, trouble
from crashinit.errors import DriverError, UsageError
from crashinit.machine.provider import get_provider
from crashinit.machine.seed import with_guest
from crashinit.model.trial import FRESH, MADE_BY, Setup

if TYPE_CHECKING:
    from crashinit.adapters import Adapter
    from crashinit.machine.protocol import Machine, Provider
    from crashinit.model.observation import Observation

CARRIED = "/var/tmp/crashinit-root.tar.gz"
ATTRIBUTES = ("--xattrs", "--xattrs-include=*")


@dataclass(frozen=True)
class Root:
    """What the other driver left: an archive, and what it looked like before it was shut down."""

    archive: bytes = field(repr=False)
    before: "Observation"

    def into(self, machine: "Machine", place: str) -> None:
        """Unpack it in a machine. Raises GuestError."""
        machine.put(self.archive, CARRIED)
        machine.run("mkdir", "-p", place).check()
        machine.run("tar", "-C", place, *ATTRIBUTES, "-xpzf", CARRIED, timeout=120.0).check()
        machine.run("rm", CARRIED).check()


def root_made_by(setup: Setup, adapter: "Adapter", provider: "Provider") -> Root:
    """The root that the setup's other driver makes, for this adapter's driver to begin with.

    Raises UsageError for an adapter that there is not, or whose root is another directory, DriverError when the other
    driver fails without a fault.
    """
    name, guest = made_by(setup.given)
    other = adapters.load(name)
    if other.root != adapter.root:
        raise UsageError(
            f"'given: {setup.given}': the root of '{other.name}' is '{other.root}', and that of '{adapter.name}' is "
            f"'{adapter.root}': both adapters must have one root."
        )
    own = provider.name if provider.seed is None else f"{provider.name}:{provider.seed}"
    elsewhere = get_provider(with_guest(own, guest or provider.guest))
    try:
        with (
            elsewhere.template(other.packages) as base,
            base.derive(other.installed) as installed,
            installed.clone() as machine,
        ):
            driven = Driven(machine, other, Setup(FRESH, setup.options, setup.deadline))
            before = driven.used_root() if other.users else _initialised(driven)
            machine.run("tar", "-C", other.root, *ATTRIBUTES, "-Sczf", CARRIED, ".", timeout=300.0).check()
            return Root(machine.get(CARRIED), before)
    finally:
        elsewhere.close()


def made_by(given: str) -> tuple[str, str]:
    """The adapter and the guest of 'made-by:ADAPTER@GUEST'; "": the guest of the driver that begins with the root."""
    name, _, guest = given.removeprefix(MADE_BY).partition("@")
    return name, guest


def _initialised(driven: Driven) -> "Observation":
    """The state after an init, which is then shut down: of a driver that has no volumes for users."""
    driven.machine.call("mark")
    run = driven.init()
    if said := trouble(run, driven.adapter, driven.setup):
        raise DriverError(f"without any fault, the root cannot be made by '{driven.adapter.name}': {said}")
    before = driven.observe(digests=True)
    driven.end()
    return before
