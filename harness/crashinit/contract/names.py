"""Which devices, loops and files of a machine belong to the driver under test."""

from pathlib import PurePosixPath

from crashinit.contract import dmtable
from crashinit.model.observation import DmDevice, LoopDevice, Observation


def prefixes(observation: Observation) -> tuple[str, ...]:
    """What the names of the driver's dm devices begin with, longest first.

    There are two where the pool was given to the driver and so does not share the base's prefix.
    """
    stems = {observation.pool_name.removesuffix("-pool"), observation.base_name.removesuffix("-base")}
    return tuple(f"{stem}-" for stem in sorted(stems - {""}, key=lambda stem: (-len(stem), stem)))


def is_own_name(observation: Observation, name: str) -> bool:
    """Whether the driver would give this name to one of its dm devices."""
    return name in (observation.pool_name, observation.base_name) or name.startswith(prefixes(observation))


def own_loops(observation: Observation) -> list[LoopDevice]:
    """The loop devices over files below the root."""
    root = PurePosixPath(observation.root)
    return [loop for loop in observation.loops if PurePosixPath(loop.backing_file).is_relative_to(root)]


def own_devices(observation: Observation) -> list[DmDevice]:
    """The dm devices that bear the driver's names, or that stand on its pool or on its loops whatever their name."""
    under = {loop.device for loop in own_loops(observation)}
    under |= {device.device for device in observation.dm if device.name == observation.pool_name}
    return [
        device
        for device in observation.dm
        if is_own_name(observation, device.name)
        or any(under & set(dmtable.devices(line)) for line in (*device.live_table, *device.inactive_table))
    ]


def device_named(observation: Observation, name: str) -> DmDevice | None:
    """The dm device of that name."""
    return next((device for device in observation.dm if device.name == name), None)


def below_root(observation: Observation, path: str) -> str:
    """An absolute path, relative to the root if it lies below it."""
    place = PurePosixPath(path)
    return str(place.relative_to(observation.root)) if place.is_relative_to(observation.root) else path
