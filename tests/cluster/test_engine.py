"""Trials on the hosts of a cluster: what is lost with a host, and what is not."""

import time
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from crashinit.campaign.workers import Begun, Done, Failed, Message, Told
from crashinit.cluster.engine import Cluster
from crashinit.errors import HostError
from crashinit.model.trial import Trial
from distributed import Client

from .hosts import PAUSE, Host, Network
from .toy import DEADLY, GO, PLACE, OnAnotherAccelerator, Toys, begun, trial

PATIENCE = 30.0  # seconds for a host that has come to get a trial
UNITS = [[trial(f"{unit}-{n}", unit) for n in range(3)] for unit in "abcd"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the toys of all hosts meet; the owner has an empty cache, and so nothing to send."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "owner"))
    monkeypatch.setenv(PLACE, str(tmp_path))
    return tmp_path


def with_workers(hosts: Network, count: int) -> list[Host]:
    """So many hosts with a worker each."""
    made = [hosts.host() for _ in range(count)]
    for host in made:
        host.work(hosts.scheduler)
    return made


def await_begun(place: Path, count: int) -> None:
    """Wait until each of so many hosts runs a trial; what never comes is found by the time that a test may take."""
    while len({host for _, host in begun(place)}) < count:
        time.sleep(PAUSE)


def running(client: Client, units: Sequence[Sequence[Trial]], kind: type[Toys] = Toys) -> Generator[Message | Told]:
    return Cluster(client).run(units, kind("reference", "vagrant", Path()))  # type: ignore[arg-type]


def test_host_that_dies_costs_no_trial_and_one_that_comes_helps(hosts: Network, place: Path) -> None:
    """Killed with a trial in hand: it is run elsewhere, and each has one result. Nothing is left on any host."""
    first, second, third = with_workers(hosts, 3)
    late = hosts.host()
    ended: list[Message] = []
    told: list[str] = []
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(3)
        for message in running(client, UNITS):
            if isinstance(message, Told):
                told.append(message.text)
                if "has come" in message.text:
                    end = time.monotonic() + PATIENCE
                    while str(late.cache) not in {host for _, host in begun(place)} and time.monotonic() < end:
                        time.sleep(PAUSE)
                    (place / GO).touch()
            elif isinstance(message, Begun) and message.worker == 3 and first.pids():
                await_begun(place, 3)
                first.kill()
                late.work(hosts.scheduler)
            elif not isinstance(message, Begun):
                ended.append(message)

        left = {host.name: host.left() for host in hosts.hosts}

    assert Counter(one.trial.id for one in ended) == Counter(one.id for unit in UNITS for one in unit)
    assert all(isinstance(one, Done) and one.evidence.trial == one.trial.id for one in ended)
    assert [text for text in told if "is gone: what it had in hand is run elsewhere" in text]
    assert not first.pids()
    assert left == {host.name: [] for host in (first, second, third, late)}
    twice = [name for name, times in Counter(name for name, _ in begun(place)).items() if times > 1]
    assert len(twice) == 1  # the one that the dead host had in hand
    assert str(late.cache) in {host for _, host in begun(place)}


def test_unit_stays_on_one_host(hosts: Network, place: Path) -> None:
    """With as many units as hosts and more, no host leaves a unit for another one before there is nothing else."""
    with_workers(hosts, 2)
    (place / GO).touch()
    units = [[trial(f"{unit}-{n}", str(unit)) for n in range(4)] for unit in range(8)]
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(2)
        ended = [one for one in running(client, units) if isinstance(one, Done)]

    assert len(ended) == 32
    places = {unit: {host for name, host in begun(place) if name.startswith(f"{unit}-")} for unit in range(8)}
    assert set.union(*places.values()) == {str(host.cache) for host in hosts.hosts}
    assert sum(len(found) for found in places.values()) <= 8 + 1


def test_trial_whose_process_dies_each_time_is_an_error(hosts: Network, place: Path) -> None:
    """It is tried three times, and then said; the others are done."""
    with_workers(hosts, 1)
    (place / GO).touch()
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(1)
        ended = [one for one in running(client, [[trial(DEADLY), trial("b")]]) if isinstance(one, Done | Failed)]

    assert {one.trial.id: type(one) for one in ended} == {DEADLY: Failed, "b": Done}
    [failed] = [one for one in ended if isinstance(one, Failed)]
    assert failed.reason == "its worker died 3 times (the last by exit status 1)"
    assert [name for name, _ in begun(place)].count(DEADLY) == 3


def test_what_is_interrupted_leaves_nothing(hosts: Network, place: Path) -> None:
    """Ctrl-C in the middle of trials: the processes that run them are gone when it goes on to the caller."""
    with_workers(hosts, 2)
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(2)
        messages = running(client, UNITS)
        for message in messages:
            if isinstance(message, Begun) and message.worker == 2:
                await_begun(place, 2)
                assert all(host.left() for host in hosts.hosts)
                break
        messages.close()

        assert [host.left() for host in hosts.hosts] == [[], []]
        assert not client.processing() or not any(client.processing().values())


def test_worker_with_another_accelerator_is_sent_away(hosts: Network, place: Path) -> None:
    """Its results would not be alike; when it was the last one, the campaign ends with a sentence."""
    with_workers(hosts, 1)
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(1)
        with pytest.raises(
            HostError, match=r"no worker of the cluster can run a trial; the last one, tcp://.*made the"
        ):
            list(running(client, UNITS, OnAnotherAccelerator))
        while hosts.hosts[0].pids():
            pass  # a worker that stays is found by the time that a test may take
