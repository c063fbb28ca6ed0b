"""Hosts in network namespaces, joined by a bridge, each with a dask worker; and a scheduler beside them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crashinit.machine.cache import Shelf
from crashinit.machine.provider import KEEP
from distributed import Client

from ..processes import is_alive, words
from ..toys import environment

# A process that is killed leaves the semaphores of its multiprocessing in /dev/shm: here it has one of its own, in a
# mount namespace that ends with it.
OWN_SHARED_MEMORY = 'mount -t tmpfs shm /dev/shm && exec "$@"'
ALONE = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", OWN_SHARED_MEMORY, "sh"]
PORT = 8786
PAUSE = 0.02  # seconds between two looks
SHARED = 4  # templates: more than one campaign needs


def ip(*arguments: str) -> str:
    """What ip(8) says."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


class Host:
    """One host: a network namespace with a cable to the bridge, and directories of its own."""

    def __init__(self, network: "Network", number: int) -> None:
        self.name = f"{network.name}-{number}"
        self.address = f"{network.net}.{10 + number}"
        self.place = network.place / f"host-{number}"
        self.cache, self.temporary = self.place / "cache", self.place / "tmp"
        self.cache.mkdir(parents=True)
        self.temporary.mkdir()
        self.outside = f"{network.name}v{number}"
        inside = f"{network.name}w{number}"
        ip("netns", "add", self.name)
        network.hosts.append(self)  # from here on it is to be put back
        ip("link", "add", self.outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        ip("link", "set", self.outside, "master", network.name, "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", inside)
        for device in ("lo", inside):
            ip("-n", self.name, "link", "set", device, "up")

    def share(self, cache: Path, image: str) -> None:
        """Have that image and the templates that were used last of that cache, by hard links."""
        templates = Shelf("templates", KEEP).entries()[:SHARED]
        for entry in (cache / "images" / image, *templates):
            shutil.copytree(entry, self.cache / entry.parent.name / entry.name, copy_function=os.link)
        for file in cache.glob("accel-*.json"):
            shutil.copy(file, self.cache)

    def work(self, scheduler: str, **variables: str) -> None:
        """Start its dask worker."""
        dask = ["distributed.cli.dask_worker", scheduler, "--nthreads", "1", "--no-dashboard"]
        self.start(*dask, "--local-directory", str(self.temporary), **variables)

    def start(self, *module: str, **variables: str) -> None:
        """Start a Python module there."""
        with (self.place / "log").open("ab") as log:
            subprocess.Popen(
                [*ALONE, "ip", "netns", "exec", self.name, sys.executable, "-m", *module],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.place,
                env=environment(CRASHINIT_CACHE=str(self.cache), TMPDIR=str(self.temporary), **variables),
            )  # fmt: skip

    def pids(self) -> list[int]:
        """Its processes."""
        return [int(word) for word in ip("netns", "pids", self.name).split() if is_alive(int(word))]

    def line(self, pid: int) -> bytes:
        """The command line of one of its processes."""
        return b" ".join(words(pid))

    def kill(self) -> None:
        """It loses its power."""
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Put back what making it has changed."""
        self.kill()
        with suppress(subprocess.CalledProcessError):  # it was not made yet
            ip("link", "delete", self.outside)  # and with it the other end
        ip("netns", "delete", self.name)

    def left(self) -> list[str]:
        """What a campaign has left there beside the cache and dask's own: processes of it, and files."""
        own = b"distributed.cli.dask_worker", b"multiprocessing", b"tests.cluster.sshd"
        told = [line for pid in self.pids() if not any(word in (line := self.line(pid)) for word in own)]
        found = [str(path) for path in self.temporary.iterdir() if path.name != "dask-scratch-space"]
        found += [str(path) for path in self.cache.iterdir() if path.name.startswith("fetch-")]
        return [*map(repr, told), *found]


class Network:
    """A bridge with hosts, and this process at its address 1."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.name = f"ci{os.getpid()}"
        self.hosts: list[Host] = []
        self.net = f"10.{200 + os.getpid() // 250 % 50}.{os.getpid() % 250}"  # several tests may have one at once
        self.scheduler = f"tcp://{self.net}.1:{PORT}"

    def host(self) -> Host:
        """One more host."""
        return Host(self, len(self.hosts) + 1)


def _sweep() -> None:
    """Put back what a test has left that was killed."""
    for line in ip("netns", "list").splitlines():
        if (found := re.match(r"ci(\d+)-\d+\b", line)) and not is_alive(int(found[1])):
            ip("netns", "delete", found[0])
    for link in json.loads(ip("-json", "link", "show", "type", "bridge")):
        if (found := re.fullmatch(r"ci(\d+)", link.get("ifname", ""))) and not is_alive(int(found[1])):
            ip("link", "delete", found[0])


@contextmanager
def network(place: Path) -> Iterator[Network]:
    """A network with a scheduler and no host yet. All is put back, whatever happens."""
    _sweep()
    made = Network(place)
    scheduler = None
    ip("link", "add", made.name, "type", "bridge")
    try:
        ip("addr", "add", f"{made.net}.1/24", "dev", made.name)
        ip("link", "set", made.name, "up")
        dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", f"{made.net}.1", "--port", str(PORT)]
        with (place / "scheduler.log").open("wb") as log:
            options = ["--no-dashboard", "--no-show"]
            command = [*ALONE, *dask, *options]
            scheduler = subprocess.Popen(command, stdout=log, stderr=log, cwd=place, env=environment())
        with Client(made.scheduler, timeout="60s"):
            pass
        yield made
    finally:
        for host in made.hosts:
            host.remove()
        if scheduler:
            scheduler.kill()
            scheduler.wait()
        ip("link", "delete", made.name)
