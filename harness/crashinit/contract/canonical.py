"""The canonical state of an observation: what two machines must agree on to be called equal.

It is flat, a path for each fact ("dm/pool/table/0"), so that a mask is a list of patterns and a difference is a
sentence. What names one machine only is replaced: the driver's name prefix, the numbers of loop and dm devices, the
root's place, the machine's own disk, thin ids in tables (by the device that the driver records for them).
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

from crashinit.contract import dmtable, formats
from crashinit.contract.expectation import NO_FORMAT, Expectation
from crashinit.contract.names import below_root, prefixes
from crashinit.model.observation import DmDevice, Observation

State = Mapping[str, str]
Add = Callable[[str, object], None]
Shown = Literal["repeated inits", "faults"]
REPEATS: Shown = "repeated inits"
FAULTS: Shown = "faults"
WITH_OWNERS = 2  # the first format of an observation that tells more of a file than kind, mode and size
OWN_DISK = re.compile(r"/dev/(vda|sda|pmem0)\d*")  # that a machine starts from, by its provider
LONGEST = 100  # characters of a fact that a difference shows


@dataclass(frozen=True)
class Allowance:
    """Facts that may differ under some clauses, and why that does no harm."""

    clauses: tuple[str, ...]
    paths: tuple[str, ...]  # patterns as of fnmatch; `*` matches slashes too
    shown_by: Shown  # what makes them differ: each init, or only one that a fault interrupted
    reason: str


@dataclass(frozen=True)
class Difference:
    """One fact that two states do not share; None: the state has no such fact."""

    path: str
    here: str | None
    there: str | None

    def __str__(self) -> str:
        return f"'{self.path}' is {_shown(self.here)}, not {_shown(self.there)}"


@cache
def mask() -> tuple[Allowance, ...]:
    """The allowed differences, as mask.toml states them."""
    entries = tomllib.loads(Path(__file__).with_name("mask.toml").read_text())["allowed"]
    return tuple(
        Allowance(tuple(e["clauses"]), tuple(e["paths"]), e["shown_by"], " ".join(e["reason"].split())) for e in entries
    )


def masked(state: State, clause: str, allowed: Sequence[Allowance] | None = None) -> State:
    """The state without the facts that may differ under the clause."""
    allowances = mask() if allowed is None else allowed
    patterns = [pattern for a in allowances if clause in a.clauses for pattern in a.paths]
    return {path: fact for path, fact in state.items() if not any(fnmatchcase(path, p) for p in patterns)}


def differences(here: State, there: State) -> list[Difference]:
    """Every fact that the two states do not share, by path."""
    return [
        Difference(path, here.get(path), there.get(path))
        for path in sorted(here.keys() | there.keys())
        if here.get(path) != there.get(path)
    ]


def canonical(observation: Observation, expectation: Expectation, form: int | None = None) -> State:
    """The canonical state of an observation. The kernel log, problems and outputs of tools are no part of it.

    `form`: with no more facts than an observation of that format holds; None: of its own.
    """
    state: dict[str, str] = {}

    def add(path: str, value: object) -> None:
        state[path] = value if isinstance(value, str) else json.dumps(value)

    known = expectation.metadata_format != NO_FORMAT
    metadata = formats.read(expectation.metadata_format, observation.metadata, expectation.metadata_dir)
    nouns = _Nouns(observation, metadata)
    for device in observation.dm:
        _add_dm(add, nouns, device)
    _add_loops(add, nouns, observation)
    _add_files(add, observation, known, observation.format if form is None else form)
    there = Counter[str]()
    for mount in observation.mounts:
        there[mount.target] += 1
        path = f"mounts/{below_root(observation, mount.target)}#{there[mount.target]}"
        add(f"{path}/source", nouns.source(mount.source))
        add(f"{path}/fstype", mount.fstype)
        add(f"{path}/options", ",".join(sorted(mount.options.split(","))))
    for name in observation.mapper_nodes:
        add(f"nodes/{nouns.name(name)}", True)
    add("semaphores", len(observation.semaphores))
    add("processes", sorted(process.name for process in observation.processes))
    if observation.base is not None:
        for field in ("device_size", "fstype", "uuid", "check_exit"):
            add(f"base/{field}", getattr(observation.base, field))
    for volume in observation.volumes:
        path = f"volumes/{volume.name}"
        add(f"{path}/place", below_root(observation, volume.place))
        for field in ("fstype", "size", "uuid", "subvolume", "digest"):
            add(f"{path}/{field}", getattr(volume, field))
    if observation.pool is not None:
        add("pool/transaction", observation.pool.transaction)
        add("pool/block_size", observation.pool.block_size)
        for thin in observation.pool.thin_devices:
            path = f"pool/thin/{metadata.name_of(thin.id)}"
            add(f"{path}/mapped_blocks", thin.mapped_blocks)
            add(f"{path}/transaction", thin.transaction)
            add(f"{path}/digest", thin.digest)
    return state


class _Nouns:
    """The canonical names of one machine's things."""

    def __init__(self, observation: Observation, metadata: formats.DriverMetadata) -> None:
        self._observation = observation
        self._metadata = metadata
        self._devices = {d.device: self.name(d.name) for d in observation.dm}
        self._devices |= {loop.device: f"loop {self.file(loop.backing_file)}" for loop in observation.loops}
        self._nodes = {f"/dev/{loop.name}": loop.device for loop in observation.loops}
        self._nodes |= {f"/dev/dm-{d.device.partition(':')[2]}": d.device for d in observation.dm}

    def name(self, name: str) -> str:
        """Of a dm device."""
        if name in (self._observation.pool_name, self._observation.base_name):
            return "pool" if name == self._observation.pool_name else "base"
        own = next((prefix for prefix in prefixes(self._observation) if name.startswith(prefix)), None)
        return f"foreign {name}" if own is None else f"device {name.removeprefix(own)}"

    def file(self, path: str) -> str:
        return below_root(self._observation, path)

    def uuid(self, uuid: str) -> str:
        """Of a dm device: drivers build it from the device's name."""
        for prefix in prefixes(self._observation):
            uuid = uuid.replace(prefix, "")
        return uuid

    def source(self, source: str) -> str:
        """Of a mount."""
        if source.startswith("/dev/mapper/"):
            return self.name(PurePosixPath(source).name)
        if OWN_DISK.fullmatch(source):
            return "disk of the machine"
        return self._devices.get(self._nodes.get(source, ""), source)

    def line(self, line: str) -> str:
        """A table line."""
        words = [self._devices.get(word, word) for word in line.split()]
        if dmtable.target(line) == "thin" and len(words) > 4 and words[4].isdigit():
            words[4] = self._metadata.name_of(int(words[4]))
        return " ".join(words)


def _add_dm(add: Add, nouns: _Nouns, device: DmDevice) -> None:
    path = f"dm/{nouns.name(device.name)}"
    add(f"{path}/uuid", nouns.uuid(device.uuid))
    for field in ("suspended", "read_only", "open_count", "registered"):
        add(f"{path}/{field}", getattr(device, field))
    for kind, lines in (("table", device.live_table), ("inactive", device.inactive_table)):
        for n, line in enumerate(lines):
            add(f"{path}/{kind}/{n}", nouns.line(line))
    for n, line in enumerate(device.status):
        try:
            status = dmtable.read_pool_status(line)
        except dmtable.UnreadableLineError:
            # The status of other targets counts blocks and sectors; of it only the failure is state.
            add(f"{path}/status/{n}/failed", dmtable.target_failed(line))
            continue
        add(f"{path}/status/{n}/transaction", status.transaction)
        add(f"{path}/status/{n}/metadata_used", status.metadata_used)
        add(f"{path}/status/{n}/metadata_total", status.metadata_total)
        add(f"{path}/status/{n}/data_used", status.data_used)
        add(f"{path}/status/{n}/data_total", status.data_total)
        add(f"{path}/status/{n}/held_root", status.held_root != "-")
        add(f"{path}/status/{n}/mode", status.mode)
        add(f"{path}/status/{n}/flags", sorted(status.flags))
        add(f"{path}/status/{n}/needs_check", status.needs_check)


def _add_loops(add: Add, nouns: _Nouns, observation: Observation) -> None:
    fields = ("backing_deleted", "autoclear", "offset", "sizelimit", "size")
    facts = sorted((nouns.file(loop.backing_file), *(getattr(loop, f) for f in fields)) for loop in observation.loops)
    files = [fact[0] for fact in facts]
    for n, (file, *values) in enumerate(facts):
        nth = n - files.index(file) + 1
        for field, value in zip(fields, values, strict=True):
            add(f"loops/{file}#{nth}/{field}", value)


def _add_files(add: Add, observation: Observation, known: bool, form: int) -> None:
    for entry in observation.files:
        path = f"files/{entry.path}"
        add(f"{path}/kind", entry.kind)
        add(f"{path}/mode", oct(entry.mode))
        is_record = _is_record(
            entry.path, observation.metadata
        )  # its contents tell more, and its size varies with them
        if not is_record:
            add(f"{path}/size", entry.size)
        if form >= WITH_OWNERS:
            add(f"{path}/owner", entry.owner)
            if entry.link:
                add(f"{path}/link", entry.link)
            for name, value in entry.xattrs.items():
                add(f"{path}/xattrs/{name}", value)
            if entry.digest and not is_record:
                add(f"{path}/digest", entry.digest)
    for path, text in observation.metadata.items() if known else ():
        name = formats.steady(path)
        try:
            for key, value in formats.read_object(text).items():
                add(f"metadata/{name}/{key}", value)
        except ValueError:
            add(f"metadata/{name}", text)


def _is_record(path: str, metadata: Mapping[str, str]) -> bool:
    """Whether a file is one of the driver's records, or a database that holds some."""
    return path in metadata or any(record.startswith(f"{path}/") for record in metadata)


def _shown(fact: str | None) -> str:
    if fact is None:
        return "absent"
    return f"'{fact}'" if len(fact) <= LONGEST else f"'{fact[:LONGEST]}...'"
