"""A cluster that is started by SSH for the time of a campaign."""

import socket
import time
from pathlib import Path

import asyncssh
import pytest
from crashinit.campaign.workers import Begun, Done
from crashinit.cluster import connect
from crashinit.errors import HostError, UsageError

from ..toys import crashinit
from .hosts import PAUSE, Host, Network
from .toy import GO, PLACE, Toys, begun, trial


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nb c\n", "line 2: 'b c' is no name or address of a host"),
        ("-oProxyCommand=x\n", "line 1: '-oProxyCommand=x' is no name or address of a host"),
        ("# none\n\n", "names no host: write one on each line"),
    ],
)
def test_file_of_hosts_that_is_none_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    """No word of it becomes an option of ssh(1)."""
    file = tmp_path / "hosts"
    file.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        connect.named(file)


def test_file_of_hosts_is_read(tmp_path: Path) -> None:
    """One a line, with comments."""
    file = tmp_path / "hosts"
    file.write_text("# ours\nnode-1  # fast\n\n10.0.0.2\nfe80::1\n")
    assert connect.named(file) == ["node-1", "10.0.0.2", "fe80::1"]


@pytest.fixture
def reached(hosts: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Host]]:
    """Two hosts with an SSH server, which this user reaches without a password; and the file that names them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(PLACE, str(tmp_path))
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "owner"))
    ssh = tmp_path / ".ssh"
    ssh.mkdir(mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(ssh / "id_ed25519")
    key.write_public_key(ssh / "authorized_keys")
    made = [hosts.host(), hosts.host()]
    for host in made:
        key.write_private_key(host.place / "key")
        host.start("tests.cluster.sshd", host.address, str(host.place / "key"), str(ssh / "authorized_keys"))
    public = key.export_public_key().decode()
    (ssh / "known_hosts").write_text("".join(f"{host.address} {public}" for host in made))
    file = tmp_path / "hosts.txt"
    file.write_text("".join(f"{host.address}\n" for host in made))
    for host in made:
        while not answers(host):
            time.sleep(PAUSE)
    return file, made


def answers(host: Host) -> bool:
    """Whether its SSH server listens."""
    try:
        socket.create_connection((host.address, 22)).close()
    except ConnectionRefusedError:
        return False
    return True


def await_none_but_the_server(host: Host) -> None:
    """Wait until nothing of a cluster is left there; what stays is found by the time that a test may take."""
    while len(host.pids()) > 1:
        time.sleep(PAUSE)
    assert host.left() == []


def test_trials_run_on_the_hosts_of_a_file(reached: tuple[Path, list[Host]], tmp_path: Path) -> None:
    """As many at once on each as '-n' says; nothing of the cluster is left on any host when the campaign ends."""
    file, made = reached
    units = [[trial(f"{n}")] for n in range(8)]
    done, handed = [], 0
    with connect.hosts(file, 2) as (cluster, _):
        for message in cluster.run(units, Toys("reference", "vagrant", Path())):  # type: ignore[arg-type]
            handed += isinstance(message, Begun)
            if handed == 4:
                while len(begun(tmp_path)) < 4:
                    time.sleep(PAUSE)
                (tmp_path / GO).touch()
            done += [message.trial.id] if isinstance(message, Done) else []

    assert sorted(done) == sorted(one.id for [one] in units)
    assert {cache for _, cache in begun(tmp_path)} == {str(host.cache) for host in made}
    for host in made:
        await_none_but_the_server(host)


@pytest.mark.turn(1)
def test_hosts_that_cannot_be_reached_are_said(reached: tuple[Path, list[Host]], tmp_path: Path) -> None:
    """One whose key is not known, and one that does not answer: a sentence each, and nothing stays on the other."""
    file, [first, second] = reached
    known = tmp_path / ".ssh" / "known_hosts"
    of_both = known.read_text()
    known.write_text("")
    with pytest.raises(HostError, match=r"cannot be had by SSH \(HostKeyNotVerifiable"), connect.hosts(file, 1):
        pass
    known.write_text(of_both)
    second.kill()
    with pytest.raises(HostError, match=r"cannot be had by SSH .*: 'ssh HOST"), connect.hosts(file, 1):
        pass
    await_none_but_the_server(first)


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    """A cluster is there, or it is started."""
    words = ["run", "scenarios/steps", "--driver", "reference", "--scheduler", "tcp://host:8786", "--hosts", "x"]
    ended = crashinit(*words)

    assert (ended.returncode, len(ended.stderr.splitlines())) == (4, 1)
    assert "give one of the two" in ended.stderr
