"""What a machine of every kind does by its agent's calls alone."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from crashinit.errors import MachineError
from crashinit.machine.protocol import Completed

GRACE = 30.0  # seconds beyond a command's own timeout in which the agent must answer
FILE_TIMEOUT = 90.0  # seconds in which a file must be there or here
# What a shutdown does for the disk: write all, then make the root file system read-only (sysrq.rst). The remount is
# the kernel's own, so files held open do not keep it back.
REMOUNT = "sync; echo u > /proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do :; done"


class ByAgent(ABC):
    """A machine whose agent answers; see machine/protocol.py for what each method promises."""

    def __init__(self) -> None:
        self._closed = False

    @abstractmethod
    def _ask(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """One call of the agent; see Channel.call."""

    @abstractmethod
    def power_cut(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def call(self, name: str, /, *, timeout: float = 60.0, **arguments: Any) -> Any:
        return self._ask(name, arguments, timeout)

    def run(
        self,
        *argv: str,
        input: bytes = b"",
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        arguments = {"argv": list(argv), "input": _text(input), "timeout": timeout, "env": dict(env or {})}
        return Completed(argv=argv, **self._ask("run", arguments, timeout + GRACE))

    def put(self, data: bytes | Path, target: str, mode: int = 0o644) -> None:
        content = data.read_bytes() if isinstance(data, Path) else data
        self._ask("put", {"path": target, "data": _text(content), "mode": mode}, FILE_TIMEOUT)

    def get(self, path: str) -> bytes:
        return base64.b64decode(self._ask("get", {"path": path}, FILE_TIMEOUT)["data"])

    def reboot(self) -> None:
        self.run("sh", "-c", REMOUNT).check()
        self.power_cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise MachineError("this machine is closed")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
