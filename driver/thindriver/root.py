"""The root directory: its lock, the prefix that it gives to device names, and what may lie in it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from . import kernel
from .errors import DriverError, doing

LOCK_PATIENCE = 60.0  # seconds that another run on the same root is waited for
ROOT_ENTRIES = ("devicemapper", "metadata", "mnt", "lost+found", "setup-config.json")
IMAGE_ENTRIES = ("data", "metadata", "lost+found")


class Root:
    """A root directory, what dockerd calls `home`: <data-root>/devicemapper."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.images = os.path.join(self.path, "devicemapper")  # the directory of the sparse files
        self.mounts = os.path.join(self.path, "mnt")
        self.lock = -1  # an fd, from acquire on

    def image(self, name: str) -> str:
        """Path of the sparse file 'data' or 'metadata'."""
        return os.path.join(self.images, name)

    @property
    def prefix(self) -> str:
        """What the names of all devices of this root begin with: docker-MAJOR:MINOR-INODE."""
        found = os.stat(self.path)
        device = found.st_dev  # numbers as dockerd decodes them
        major, minor = (device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xFFF00)
        return f"docker-{major}:{minor}-{found.st_ino}"

    def acquire(self, create: bool) -> bool:
        """Take the root's lock; False when there is no root and none is to be made.

        The lock is a flock(2) on the directory itself: nothing to clean up, and children can inherit it.
        """
        if os.path.lexists(self.path) and not os.path.isdir(self.path):
            raise DriverError(f"the root '{self.path}' is not a directory")
        if not os.path.isdir(self.path):
            if not create:
                return False
            kernel.make_directory(self.path, 0o700)
        with doing(f"lock the root '{self.path}'"):
            self.lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            if not kernel.wait_until(self._try_lock, LOCK_PATIENCE):
                raise DriverError(f"the root '{self.path}' has been in use by another run for {LOCK_PATIENCE:.0f} s")
        return True

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EINTR):
                return False
            raise
        return True

    def check(self) -> None:
        """Raise DriverError when the root holds anything that no driver of this kind put there."""
        for directory, known in ((self.path, ROOT_ENTRIES), (self.images, IMAGE_ENTRIES)):
            if not os.path.lexists(directory):
                continue
            with doing(f"list the directory '{directory}'"):
                names = sorted(os.listdir(directory))
            for name in names:
                path = os.path.join(directory, name)
                file = directory == self.images or name == "setup-config.json"
                kind = stat.S_ISREG if file and name != "lost+found" else stat.S_ISDIR
                if name not in known or not kind(os.lstat(path).st_mode):
                    raise DriverError(f"the root '{self.path}' holds the foreign '{path}': give it one of its own")
