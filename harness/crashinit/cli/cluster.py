"""Options for a campaign beyond this host, and the workers that they stand for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crashinit.cli.app import say
from crashinit.errors import UsageError

if TYPE_CHECKING:
    from crashinit.campaign.workers import Engine

Scheduler = Annotated[
    str,
    typer.Option("--scheduler", metavar="URL", help="Run on the dask cluster whose scheduler is at tcp://HOST:PORT."),
]
Hosts = Annotated[
    Path | None,
    typer.Option("--hosts", metavar="FILE", help="Run on the hosts in this file, by SSH; '-n' trials on each."),
]
Tls = Annotated[
    Path | None,
    typer.Option("--tls", metavar="DIR", help="With '--scheduler tls://...': ca.pem, cert.pem and key.pem."),
]


@contextmanager
def crew(workers: int, scheduler: str, hosts: Path | None, tls: Path | None) -> "Iterator[int | Engine]":
    """The workers that were asked for: so many processes here, or those of a cluster while it is needed."""
    if tls and not scheduler:
        raise UsageError("'--tls' goes with '--scheduler'.")
    if not scheduler and not hosts:
        yield workers
        return
    if scheduler and hosts:
        raise UsageError("'--scheduler' names a cluster that is there, and '--hosts' starts one: give one of the two.")
    if scheduler and workers != 1:
        raise UsageError("'-n' is for this host: a cluster's workers say with '--nthreads' how many trials they take.")
    try:
        from crashinit.cluster import connect
    except ModuleNotFoundError as error:
        raise UsageError(
            f"a campaign on a cluster needs the package '{error.name}': run 'pip install crashinit[cluster]'."
        ) from error
    found = connect.hosts(hosts, workers) if hosts else connect.scheduler(scheduler, tls)
    with found as (cluster, dashboard):
        say(f"dashboard: {dashboard}")
        yield cluster
