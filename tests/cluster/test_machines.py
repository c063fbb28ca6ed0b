"""A campaign on three hosts, of which one dies and one has nothing at first: it finds what one host alone finds."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashinit.machine.cache import cache_dir
from crashinit.machine.guests import DEFAULT, load
from crashinit.machine.guests.image import cached
from crashinit.machine.protocol import Provider
from crashinit.report import read

from ..toys import crashinit, environment
from .hosts import PAUSE, Network

SELECT = os.environ.get("CRASHINIT_TEST_SELECT", "")  # of the five steps; `make cluster` takes all


def campaign(out: Path, *options: str) -> list[str]:
    run = ["run", "scenarios/steps", "--driver", "reference", "-k", SELECT, "--out", str(out)]
    return [*run, *options]


@pytest.mark.skipif(not SELECT, reason="'make cluster' runs it")
@pytest.mark.xdist_group("cluster")
def test_campaign_is_the_same_on_one_host_and_on_many(provider: Provider, hosts: Network, tmp_path: Path) -> None:
    """One of three is killed in the middle, one comes then; one has an empty cache and gets the owner's image."""
    local = crashinit(*campaign(tmp_path / "local"))
    assert local.returncode == 0, local.stderr
    image = cached(load(DEFAULT))
    assert image

    first, second, empty, late = (hosts.host() for _ in range(4))
    for host in (first, second, late):
        host.share(cache_dir(), image.key)
    for host in (first, second, empty):
        host.work(hosts.scheduler)
    results = tmp_path / "many" / "results.jsonl"
    command = [sys.executable, "-m", "crashinit.cli", *campaign(tmp_path / "many", "--scheduler", hosts.scheduler)]
    with (tmp_path / "said").open("w") as said:
        running = subprocess.Popen(command, stdout=said, stderr=said, env=environment())
    try:
        while running.poll() is None and not (results.exists() and results.read_bytes()):
            time.sleep(PAUSE)
        while running.poll() is None and not [pid for pid in first.pids() if b"cluster.hands" in first.line(pid)]:
            time.sleep(PAUSE)
        first.kill()
        late.work(hosts.scheduler)
        running.wait()
    finally:
        running.kill()
        running.wait()
    text = (tmp_path / "said").read_text()
    left = {host.name: host.left() for host in hosts.hosts}

    assert running.returncode == 0, text
    assert "dashboard: http://" in text
    assert "lacks it" in text
    assert "is gone: what it had in hand is run elsewhere" in text
    assert (empty.cache / "images" / image.key).is_dir()
    compared = crashinit("compare", str(tmp_path / "local"), str(tmp_path / "many"))
    assert compared.returncode == 0, compared.stdout
    assert "0 differ" in compared.stdout
    ids = [result.id for result in read(tmp_path / "many").results]
    assert sorted(ids) == sorted(set(ids)) == sorted(result.id for result in read(tmp_path / "local").results)
    lines = results.read_text().splitlines()
    assert len(lines) == len(set(ids))
    assert not first.pids()
    assert left == {host.name: [] for host in hosts.hosts}
