"""Which devices, loops and files of a machine belong to the driver under test."""

from pathlib import PurePosixPath

from crashinit.contract import dmtable
from crashinit.model.observation import DmDevice, LoopDevice, Observation


def prefixes(observation: Observation) -> tuple[str, ...]:
    """What the names of the driver's dm devices begin with, longest first.

    There are two where the pool was given to the driver and so does not share the base's prefix.
    """
    stems = {observation.pool_name.removesuffix("-pool"), observation.base_name.removesuffix("-base")} - {""}
    own = {*(f"{stem}-" for stem in stems), *observation.prefixes}
    return tuple(sorted(own, key=lambda prefix: (-len(prefix), prefix)))


def is_own_name(observation: Observation, name: str) -> bool:
    """Whether the driver would give this name to one of its dm devices."""
    return name in (observation.pool_name, observation.base_name) or name.startswith(prefixes(observation))


def own_loops(observation: Observation) -> list[LoopDevice]:
    """The loop devices over files below the root."""
    root = PurePosixPath(observation.root)
    return [loop for loop in observation.loops if PurePosixPath(loop.backing_file).is_relative_to(root)]


def own_devices(observation: Observation) -> list[DmDevice]:
    """The dm devices that bear the driver's names, or that stand on its pool or on its loops whatever their name.

    They may stand on each other, in any number of layers.
    """
    under = {loop.device for loop in own_loops(observation)}
    under |= {device.device for device in observation.dm if device.name == observation.pool_name}
    found: dict[str, DmDevice] = {}
    while more := [
        device
        for device in observation.dm
        if device.name not in found
        and (
            is_own_name(observation, device.name)
            or any(under & set(dmtable.devices(line)) for line in (*device.live_table, *device.inactive_table))
        )
    ]:
        found |= {device.name: device for device in more}
        under |= {device.device for device in more}
    return [device for device in observation.dm if device.name in found]


def stand_on(observation: Observation, device: str) -> list[str]:
    """What stands on a block device ("major:minor"): dm devices, other holders, mounts, swap; by name or place."""
    above = [
        other.name
        for other in observation.dm
        if any(device in dmtable.devices(line) for line in (*other.live_table, *other.inactive_table))
    ]
    block = next((block for block in observation.blocks if block.device == device), None)
    above += [holder for holder in (block.holders if block else []) if holder not in above]
    if block:
        above += [mount.target for mount in observation.mounts if mount.source == f"/dev/{block.name}"]
        above += ["swap"] if block.swap else []
    return above


def device_named(observation: Observation, name: str) -> DmDevice | None:
    """The dm device of that name."""
    return next((device for device in observation.dm if device.name == name), None)


def below_root(observation: Observation, path: str) -> str:
    """An absolute path, relative to the root if it lies below it."""
    place = PurePosixPath(path)
    return str(place.relative_to(observation.root)) if place.is_relative_to(observation.root) else path
