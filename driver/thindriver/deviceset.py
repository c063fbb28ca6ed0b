"""The init path, top to bottom: from a root directory and options to a live thin pool with a base device."""

from __future__ import annotations

import errno
import os
import sys

from . import base, dm, kernel, loop, pool, transactions
from .errors import DriverError, doing, step
from .options import Options
from .root import Root
from .store import BASE, Device, Store
from .thinmeta import ThinMetadata


class DeviceSet:
    """A root directory, its pool and its devices. Every command holds the root's lock from begin to end."""

    def __init__(self, root: Root, options: Options) -> None:
        self.root = root
        self.options = options
        self.store = Store(root.path)
        self.loops: list[loop.Loop] = []
        self._pool: pool.Pool | None = None
        self.known: tuple[int, int] | None = None  # the pool's size, by its metadata; None: it has none
        self.wants_check = False  # likewise

    # ---- names

    @property
    def pool_name(self) -> str:
        return self.options.pool or f"{self.root.prefix}-pool"

    @property
    def pool(self) -> pool.Pool:
        if self._pool is None:
            raise DriverError(f"the thin pool '{self.pool_name}' is not active: run 'thindriver init' first")
        return self._pool

    def device_name(self, hash: str) -> str:
        """The device-mapper name of a thin device."""
        return f"{self.root.prefix}-{hash or 'base'}"

    # ---- init

    def init(self) -> None:
        """Bring the root to the state that the options describe, from whatever an earlier run left there.

        All that can be refused is refused before the first change.
        """
        dm.version()
        self.options.check_devices()
        self.root.acquire(create=True)
        self.root.check()
        self.store.load()
        self.check_options()
        found = dm.info(self.pool_name)
        if self.options.pool or (found and found.live):
            with step("pool-create"):
                self.adopt_pool()
            with step("metadata-save"):
                self.store.prepare()
            self.mend_pool()
            self.setup_devices()
        else:
            with step("loopback"):
                self.check_backing()
            with step("metadata-save"):
                self.store.prepare()
            with step("loopback"):
                data = self.ensure_backing("data", self.options.data_device, self.options.data_size)
                metadata = self.ensure_backing("metadata", self.options.metadata_device, self.options.metadata_size)
            try:
                with step("pool-create"):
                    if found:  # a run was killed between creating the device and resuming it
                        dm.remove(self.pool_name)
                    if self.wants_check and kernel.find_program(pool.CHECK[0]):
                        base.run([*pool.CHECK, kernel.device_path(metadata)], self.root.lock)
                    self._pool = pool.create(self.pool_name, metadata, data, self.options.block_size, self.known)
                self.setup_devices()
            except BaseException:
                self.undo()
                raise
        self.close_loops()  # from here on the pool alone holds them

    def setup_devices(self) -> None:
        """On a live pool: put right what a crash left, then see to the base."""
        with step("base-create"):
            self.check_content()
            self.sweep()
            self.verify_base()
            transactions.rollback(self.pool, self.store, self.deactivate)
            self.setup_base()

    def check_options(self) -> None:
        """Raise DriverError when the options contradict what the root already holds."""
        recorded = self.store.base
        if recorded is None or not recorded.initialized:
            base.check_tools(self.options.filesystem)
            return
        if "dm.basesize" in self.options.given and self.options.base_size != recorded.size:
            raise DriverError(
                f"the base has {recorded.size} bytes and keeps them, but dm.basesize asks for {self.options.base_size}"
            )
        filesystem = self.store.base_filesystem
        if "dm.fs" in self.options.given and filesystem not in ("", self.options.filesystem):
            raise DriverError(
                f"the base has a file system of type '{filesystem}', but dm.fs asks for '{self.options.filesystem}'"
            )

    # ---- loopback

    def check_backing(self) -> None:
        """Raise DriverError, touching nothing, when the files or devices under the pool cannot be the root's."""
        recorded = bool(self.store.devices)
        for name, given in (("data", self.options.data_device), ("metadata", self.options.metadata_device)):
            path = self.root.image(name)
            if recorded and not given and not (os.path.exists(path) and os.path.getsize(path)):
                raise DriverError(
                    f"'{path}' is missing or empty, but the root records thin devices: "
                    "restore it from a backup, or remove the root to begin anew"
                )
        path = self.options.metadata_device or self.root.image("metadata")
        if not os.path.exists(path):
            return
        metadata = ThinMetadata(path, direct=bool(self.options.metadata_device))
        try:
            state = metadata.state()
            if state == "foreign":
                raise DriverError(f"'{path}' holds something that is not a thin pool's metadata: wipe it if it may go")
            if state == "blank":
                if recorded:
                    raise DriverError(f"'{path}' is blank, but the root records thin devices: restore it from a backup")
                return
            self.check_block_size(metadata.block_size())
            self.known, self.wants_check = metadata.size(), metadata.needs_check()
            if recorded and not self.options.data_device:
                data, least = self.root.image("data"), metadata.data_size()
                if os.path.getsize(data) < least:
                    raise DriverError(f"'{data}' was cut short of the pool's {least} bytes: restore it from a backup")
            shared = bool(self.options.metadata_device)
            transactions.check_ours(self.store, metadata.thins(), metadata.transaction(), shared)
        finally:
            metadata.close()

    def check_block_size(self, sectors: int) -> None:
        if sectors != self.options.block_size:
            raise DriverError(
                f"the thin pool has blocks of {sectors // 2}K and keeps them, "
                f"but dm.blocksize asks for {self.options.block_size // 2}K"
            )

    def ensure_backing(self, name: str, given: str, size: int) -> str:
        """'major:minor' of the block device for the pool's data or metadata: the given one, or a loop device."""
        if given:
            return kernel.device_number(given)
        self.ensure_image(name, size)
        self.loops.append(loop.attach(self.root.image(name)))
        return self.loops[-1].device

    def ensure_image(self, name: str, size: int) -> None:
        """See to it that the sparse file is there, has at least `size` bytes, and is durable."""
        path = self.root.image(name)
        kernel.make_directory(self.root.images, 0o700)
        with doing(f"create the sparse file '{path}' of {size} bytes"):
            fd = kernel.bounded(os.open, path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                found = os.fstat(fd).st_size
                if found < size:
                    kernel.bounded(os.ftruncate, fd, size)
                kernel.bounded(os.fsync, fd)
            finally:
                os.close(fd)
            kernel.fsync_path(self.root.images)
        if found > size:
            warn(f"'{path}' has {found} bytes, more than the {size} asked for, and keeps them")

    # ---- pool

    def adopt_pool(self) -> None:
        """Recognise the live pool of our name. Raises DriverError, touching nothing, when it is not ours."""
        found = dm.info(self.pool_name)
        if found is None or not found.live:
            why = os.strerror(errno.ENXIO) if found is None else "it has no table"
            raise DriverError(f"there is no live thin pool '{self.pool_name}': {why}")
        self._pool = pool.Pool(self.pool_name)
        if not self.options.pool:
            self.check_block_size(self.pool.block_size)
            self.check_under(self.pool.data, "data", self.options.data_device)
            self.check_under(self.pool.metadata, "metadata", self.options.metadata_device)
            if self.pool.reads_only:
                self.pool.allow_writes()
        elif found.suspended:
            raise DriverError(f"the thin pool '{self.pool_name}' is suspended: resume it")
        if not found.suspended:  # a suspended one would not answer; ours is resumed first
            self.check_content()

    def check_content(self) -> None:
        """Raise DriverError unless the pool takes changes, and holds what the root records."""
        self.pool.check_writable()
        shared = bool(self.options.pool or self.options.metadata_device)
        transactions.check_ours(self.store, self.pool.thins(), self.pool.status().transaction, shared)

    def check_under(self, device: str, name: str, given: str) -> None:
        """Raise DriverError unless the live pool's data or metadata device is the one that it should be."""
        if given:
            expected = [kernel.device_number(given)]
        else:
            attached = loop.attached(self.root.image(name))
            expected = [found.device for found in attached]
            for found in attached:
                found.close()
        if device not in expected:
            raise DriverError(
                f"the live thin pool '{self.pool_name}' has its {name} on the block device {device}, "
                f"not on '{given or self.root.image(name)}': shut it down first"
            )

    def mend_pool(self) -> None:
        """Put right what a crash, or another driver, left about a live pool of ours."""
        if self.options.pool:
            return
        with step("loopback"):
            for name, device in (("data", self.pool.data), ("metadata", self.pool.metadata)):
                for found in loop.attached(self.root.image(name)):
                    self.loops.append(found)
                    if found.device != device:
                        found.detach()
                    elif not found.flags & loop.LO_FLAGS_AUTOCLEAR:
                        found.configure(self.root.image(name))
        with step("pool-create"):
            live = dm.info(self.pool_name)
            if live and live.suspended:
                dm.resume(self.pool_name)
            if live:
                dm.settle_node(live)

    def undo(self) -> None:
        """After a failed init, remove the pool that this run made; the next init makes it again."""
        try:
            dm.remove(self.device_name(BASE))
            dm.remove(self.pool_name)
        except (DriverError, OSError):
            pass  # the first error is the one to tell
        self.close_loops()

    def close_loops(self) -> None:
        for attached in self.loops:
            attached.close()
        self.loops = []

    def sweep(self) -> None:
        """Remove half-made devices and an active base; let suspended devices run."""
        for name in dm.names(f"{self.root.prefix}-"):
            found = dm.info(name)
            if found is None or name == self.pool_name:
                continue
            if found.live and found.suspended:
                dm.resume(name)
            if not found.live or name == self.device_name(BASE):
                dm.remove(name)
            else:
                dm.settle_node(found)

    # ---- base

    def verify_base(self) -> None:
        """Raise DriverError unless an initialised base is the one that was recorded; record it if none was."""
        recorded = self.store.base
        if recorded is None or not recorded.initialized:
            return
        device = self.activate(recorded, dm.UDEV_NOTHING)
        try:
            filesystem, uuid = base.identify(device)
        finally:
            self.deactivate(BASE)
        if not uuid:
            raise DriverError(f"the base '{self.device_name(BASE)}' holds neither ext4 nor xfs")
        if self.store.base_uuid not in ("", uuid):
            raise DriverError(
                f"the base's file system has the UUID '{uuid}', but '{self.store.base_uuid}' is recorded: "
                "this is another pool than the root was made with"
            )
        with step("metadata-save"):
            self.record_base(recorded, filesystem, uuid)

    def setup_base(self) -> None:
        """Make the base unless there is an initialised one; one whose mkfs may have been cut short is made anew."""
        recorded = self.store.base
        if recorded and recorded.initialized:
            return
        if recorded:
            transactions.begin_delete(self.pool, self.store, recorded)
            transactions.finish_delete(self.pool, self.store, recorded)
        made = transactions.create_device(self.pool, self.store, BASE, self.options.base_size)
        device = self.activate(made, dm.UDEV_NOTHING)
        with step("mkfs"):
            base.make(device, self.options.filesystem, self.options.mkfs_arguments, self.root.lock)
            filesystem, uuid = base.identify(device)
            if filesystem != self.options.filesystem:
                raise DriverError(f"'{base.needed_program(self.options.filesystem)}' left no file system on the base")
        with step("metadata-save"):
            self.record_base(made, filesystem, uuid)
        self.deactivate(BASE)

    def record_base(self, device: Device, filesystem: str, uuid: str) -> None:
        """Record the base's identity, and only then that it is initialised. What is recorded already stays."""
        if (self.store.base_uuid, self.store.base_filesystem) != (uuid, filesystem):
            self.store.base_uuid, self.store.base_filesystem = uuid, filesystem
            self.store.next_device_id = max(self.store.next_device_id, device.device_id)
            self.store.save_deviceset()
        if not device.initialized:
            device.initialized = True
            self.store.save_device(device)

    # ---- thin devices

    def activate(self, device: Device, udev: int = dm.UDEV_LINK) -> str:
        """Bring a thin device to life; returns 'major:minor'. One that is active already is fine."""
        name = self.device_name(device.hash)
        found = dm.info(name)
        if found is None:
            parameters = f"{self.pool.device} {device.device_id}"
            found = dm.create(name, device.size // kernel.SECTOR, "thin", parameters, udev)
        return found.device

    def deactivate(self, hash: str) -> None:
        """Take a thin device down; one that is not active is fine."""
        dm.remove(self.device_name(hash))

    def open(self) -> None:
        """For the commands on layers: take the lock, recognise the live pool, undo what was left open."""
        if not self.root.acquire(create=False):
            raise DriverError(f"there is no root '{self.root.path}': run 'thindriver init' first")
        self.root.check()
        self.store.load()
        if self.store.base is None or not self.store.base.initialized or dm.info(self.pool_name) is None:
            raise DriverError(f"the root '{self.root.path}' is not initialised: run 'thindriver init' first")
        self.adopt_pool()
        self.sweep()
        transactions.rollback(self.pool, self.store, self.deactivate)


def warn(text: str) -> None:
    """Tell people something that does not stop the work."""
    print(f"thindriver: warning: {text}", file=sys.stderr)
