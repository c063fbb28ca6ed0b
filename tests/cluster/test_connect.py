"""The way to a cluster: what is refused, with one sentence each."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import crashinit
import pytest
from crashinit.campaign.workers import Done, Told
from crashinit.cluster import connect
from crashinit.cluster.engine import Cluster
from crashinit.cluster.work import identity
from crashinit.errors import HostError, UsageError
from distributed import Client

from ..toys import crashinit as command
from ..toys import environment
from .hosts import ALONE, PAUSE, Network
from .toy import GO, PLACE, Toys, trial


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scheduler", "host:8786"], "'--scheduler' is 'host:8786', but must be tcp://HOST:PORT"),
        (["--scheduler", "tls://host:8786"], "'--tls DIR' goes with '--scheduler tls://HOST:PORT'"),
        (["--scheduler", "tcp://host:8786", "--tls", "."], "'--tls DIR' goes with '--scheduler tls://HOST:PORT'"),
        (["--scheduler", "tls://host:8786", "--tls", "."], "'.' has no 'ca.pem'"),
        (["--scheduler", "tcp://host:8786", "-n", "2"], "'-n' is for this host"),
        (["--tls", "."], "'--tls' goes with '--scheduler'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], sentence: str) -> None:
    """With one sentence and exit code 4, before a machine is started; `explore` likewise."""
    for words in (["run", "scenarios/steps"], ["explore", "--fault", "kill"]):
        ended = command(*words, "--driver", "reference", *options)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (4, 1), ended.stderr
        assert sentence in ended.stderr


def test_no_scheduler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there: a sentence with the address."""
    monkeypatch.setattr(connect, "ANSWER", "1s")
    with (
        pytest.raises(HostError, match=r"there is no scheduler at 'tcp://127\.0\.0\.1:1'"),
        connect.scheduler("tcp://127.0.0.1:1", None),
    ):
        pass


def another_version(place: Path) -> str:
    """A directory of modules in which crashinit differs by one line."""
    package = Path(crashinit.__file__).parent
    shutil.copytree(package, place / "crashinit", ignore=shutil.ignore_patterns("__pycache__"))
    with (place / "crashinit" / "errors.py").open("a") as file:
        file.write("# another one\n")
    return f"{place}:{environment()['PYTHONPATH']}"


def test_another_version_is_refused(hosts: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start with a sentence that names both; one that joins later is sent away, and the trials are run."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "owner"))
    monkeypatch.setenv(PLACE, str(tmp_path))
    path = another_version(tmp_path / "other")
    other = hosts.host()
    other.work(hosts.scheduler, PYTHONPATH=path)
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(1)
    sentence = (
        rf"^'tcp://{other.address}:\d+' has crashinit \S+ \(\w+\), and this is {identity()[:5]}.*: install the same"
    )
    with pytest.raises(UsageError, match=sentence), connect.scheduler(hosts.scheduler, None):
        pass
    other.kill()

    good, late = hosts.host(), hosts.host()
    good.work(hosts.scheduler)
    units = [[trial(f"{n}")] for n in range(12)]
    told, done = [], []
    with connect.scheduler(hosts.scheduler, None) as (cluster, _):
        assert isinstance(cluster, Cluster)
        late.work(hosts.scheduler, PYTHONPATH=path)
        for message in cluster.run(units, Toys("reference", "vagrant", Path())):  # type: ignore[arg-type]
            if isinstance(message, Told):
                told.append(message.text)
                if "is sent away" in message.text:
                    (tmp_path / GO).touch()
            done += [message.trial.id] if isinstance(message, Done) else []

    assert sorted(done) == sorted(one.id for [one] in units)
    [away] = [text for text in told if "is sent away" in text]
    assert away.startswith(f"the worker tcp://{late.address}:")
    while late.pids():
        time.sleep(PAUSE)  # one that stays is found by the time that a test may take


def test_cluster_that_asks_for_certificates_is_reached(tmp_path: Path) -> None:
    """By '--tls' with a certificate of its authority."""
    names = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=test"]
    subprocess.run(
        [*made, "-keyout", names["key"], "-out", names["cert"]], cwd=tmp_path, check=True, capture_output=True
    )
    shutil.copy(tmp_path / names["cert"], tmp_path / names["ca"])
    tls = [word for name, file in names.items() for word in (f"--tls-{name}{'-file' * (name == 'ca')}", file)]
    options = ["--protocol", "tls", *tls, "--no-dashboard"]
    written = tmp_path / "scheduler.json"
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(written), "--no-show"]
    worker = ["dask_worker", "--scheduler-file", str(written), "--nthreads", "1", "--no-nanny"]
    running = []
    try:
        for module, *words in (scheduler, worker):
            dask = [*ALONE, sys.executable, "-m", f"distributed.cli.{module}", *words, *options]
            with (tmp_path / f"{module}.log").open("wb") as log:
                running.append(subprocess.Popen(dask, cwd=tmp_path, env=environment(), stdout=log, stderr=log))
            while not written.exists() or not written.read_text().rstrip().endswith("}"):
                time.sleep(PAUSE)
                assert running[0].poll() is None, (tmp_path / "dask_scheduler.log").read_text()
        address = next(word for word in written.read_text().split('"') if word.startswith("tls://"))
        with connect.scheduler(address, tmp_path) as (cluster, _):
            assert isinstance(cluster, Cluster)
        with pytest.raises(UsageError, match="each needs the other"), connect.scheduler(address, None):
            pass
    finally:
        for process in running:
            process.kill()
            process.wait()
