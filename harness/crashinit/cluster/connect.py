"""The way to a cluster: one that is there, or one that is started by SSH for the time of the campaign."""

import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, Security

from crashinit.cluster.engine import Cluster
from crashinit.cluster.work import identity
from crashinit.errors import HostError, UsageError
from crashinit.files import textfile

ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
ANSWER = "30s"  # within which a scheduler must answer
# After which a worker that we started without a scheduler ends, and a scheduler without work: when we are killed.
ALONE, IDLE = 60.0, "1 hour"
WORKERS = 60.0  # seconds within which a first worker must be there
CA, CERT, KEY = "ca.pem", "cert.pem", "key.pem"


@contextmanager
def scheduler(address: str, tls: Path | None) -> Iterator[tuple[Cluster, str]]:
    """A cluster that is there, and the link to its dashboard. Raises UsageError, HostError."""
    if not ADDRESS.fullmatch(address):
        raise UsageError(f"'--scheduler' is '{address}', but must be tcp://HOST:PORT, or tls://HOST:PORT with '--tls'.")
    if address.startswith("tls") != (tls is not None):
        raise UsageError("'--tls DIR' goes with '--scheduler tls://HOST:PORT', and each needs the other.")
    with _client(address, address, security=_security(tls)) as client:
        yield Cluster(client), client.dashboard_link


@contextmanager
def hosts(file: Path, each: int) -> Iterator[tuple[Cluster, str]]:
    """A cluster on the hosts that a file names, each with so many workers; the first has the scheduler too.

    It is started by SSH, and ends when the context does. Raises UsageError, HostError.
    """
    from distributed import SSHCluster

    names = named(file)
    _quiet()
    try:
        worker = {"nthreads": 1, "n_workers": each, "death_timeout": ALONE}
        options = {"worker_options": worker, "scheduler_options": {"host": names[0], "idle_timeout": IDLE}}
        cluster = SSHCluster([names[0], *names], **options)
    except Exception as error:  # of sockets, of asyncssh, or of dask around one of these
        cause = error.__cause__ or error
        raise HostError(
            f"the hosts of '{file}' cannot be had by SSH ({type(cause).__name__}: {str(cause).rstrip('.')}): "
            f"'ssh HOST {sys.executable} -m distributed.cli.dask_spec --help' must work for each without a password."
        ) from error
    with cluster, _client(cluster, str(file)) as client:
        yield Cluster(client), client.dashboard_link


def named(file: Path) -> list[str]:
    """The hosts in a file: one a line, with comments from '#' on. Raises UsageError."""
    found = []
    for number, line in enumerate(textfile.read(file, "the file of hosts").splitlines(), 1):
        name = line.partition("#")[0].strip()
        if name and not HOST.fullmatch(name):
            raise UsageError(f"'{file}', line {number}: '{name}' is no name or address of a host.")
        found += [name] if name else []
    if not found:
        raise UsageError(f"'{file}' names no host: write one on each line.")
    return found


def _quiet() -> None:
    for name in ("distributed", "asyncssh"):  # what matters of that is told in sentences of ours
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _security(tls: Path | None) -> Security | None:
    if tls is None:
        return None
    for name in (CA, CERT, KEY):
        if not (tls / name).is_file():
            raise UsageError(f"'{tls}' has no '{name}': '--tls' takes a directory with {CA}, {CERT} and {KEY}.")
    paths = {"tls_ca_file": CA, "tls_client_cert": CERT, "tls_client_key": KEY}
    return Security(require_encryption=True, **{key: str(tls / name) for key, name in paths.items()})


@contextmanager
def _client(to: Any, called: str, **options: Any) -> Iterator[Client]:
    """A client whose cluster has workers, all of this version."""
    _quiet()
    try:
        client = Client(to, timeout=ANSWER, **options)
    except (OSError, TimeoutError, ValueError) as error:
        raise HostError(f"there is no scheduler at '{called}' ({str(error).rstrip('.')}).") from error
    with client:
        _await_a_worker(client, called)
        refuse_others(_versions(client))
        yield client


def _await_a_worker(client: Client, called: str) -> None:
    until = time.monotonic() + WORKERS
    while not client.nthreads():
        if time.monotonic() > until:
            raise HostError(f"the cluster '{called}' has no worker: start 'dask worker' on its hosts.")
        time.sleep(0.2)


def _versions(client: Client) -> dict[str, object]:
    """Which crashinit each member has; an exception where there is none."""
    found: dict[str, object] = dict(client.run(identity, on_error="return"))
    try:
        found["the scheduler"] = client.run_on_scheduler(identity)
    except Exception as error:
        found["the scheduler"] = error
    return found


def refuse_others(versions: dict[str, object]) -> None:
    """Raise UsageError when a member of the cluster has another crashinit than this process, or none."""
    other = {name: found for name, found in versions.items() if found != identity()}
    if not other:
        return
    name, found = next(iter(other.items()))
    has = f"crashinit {found}" if isinstance(found, str) else f"no crashinit that answers ({found})"
    more = f", and {len(other) - 1} more have another one too" if len(other) > 1 else ""
    raise UsageError(f"'{name}' has {has}, and this is {identity()}{more}: install the same on all hosts.")
