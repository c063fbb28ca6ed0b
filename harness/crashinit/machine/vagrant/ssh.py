"""One ssh connection, kept open, that carries the guest agent's line."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crashinit.errors import MachineError
from crashinit.machine import owned
from crashinit.machine.channel import Channel

RELAY = "/opt/crashinit/relay"  # what tools/provision.sh has put there
OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=8",
    # What an emulated CPU computes soonest comes first: half a second of the two that a connection takes.
    "KexAlgorithms=^curve25519-sha256", "HostKeyAlgorithms=^ssh-ed25519",
)  # fmt: skip
PAUSE = 0.2  # seconds between two attempts to reach a machine that does not let us in yet


class Connection:
    """A connected agent."""

    def __init__(self, config: Path, wrap: Callable[[Sequence[str]], list[str]], why: Callable[[], str]) -> None:
        """Begin to connect to the host 'default' of that ssh_config(5) file; `wrap` leads a command to its network."""
        near, far = socket.socketpair()
        options = [word for option in OPTIONS for word in ("-o", option)]
        argv = wrap(["ssh", "-F", str(config), "-T", *options, "default", "sudo", RELAY])
        with far:
            self._process = owned.spawn(argv, stdin=far.fileno(), stdout=far.fileno(), stderr=subprocess.DEVNULL)
        self._line = near
        self.channel = Channel(near, why)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        """Hang up; closing twice does nothing."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._line.close()


def connect(open_one: Callable[[], Connection], timeout: float) -> Connection:
    """The first connection over which the agent answers a greeting, tried anew until `timeout` seconds are over.

    A machine that boots, or that was set back to an earlier state, refuses or breaks the first ones.
    """
    deadline = time.monotonic() + timeout
    while True:
        connection = open_one()
        try:
            connection.channel.hello(max(1.0, deadline - time.monotonic()))
        except MachineError:
            connection.close()
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE)
        except BaseException:
            connection.close()
            raise
        else:
            return connection
