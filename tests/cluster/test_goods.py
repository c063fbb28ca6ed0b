"""What a host lacks comes from the owner."""

import os
from pathlib import Path

import pytest
from crashinit.campaign.workers import Done, Failed, Told
from crashinit.cluster.engine import Cluster
from crashinit.cluster.goods import PIECE
from crashinit.machine.guests import DEFAULT, load
from crashinit.machine.guests.image import _wanted
from crashinit.machine.guests.stock import FILES
from distributed import Client

from ..toys import shell_driver
from .hosts import Network
from .toy import GO, PLACE, Toys, begun, trial


def test_image_and_files_come_from_the_owner(hosts: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with an empty cache gets the image in several pieces, and an adapter's file; both once."""
    owner, (_, key) = tmp_path / "owner", _wanted(load(DEFAULT), ())
    image = owner / "images" / key
    image.mkdir(parents=True)
    for name in FILES:
        (image / name).write_bytes(b"{}")
    (image / "root.img").write_bytes(os.urandom(2 * PIECE + 5))
    (tmp_path / "driver.toml").write_text(shell_driver("true"))
    (tmp_path / GO).touch()
    monkeypatch.setenv("CRASHINIT_CACHE", str(owner))
    monkeypatch.setenv(PLACE, str(tmp_path))
    empty = hosts.host()
    empty.work(hosts.scheduler)
    with Client(hosts.scheduler) as client:
        client.wait_for_workers(1)
        make = Toys(str(tmp_path / "driver.toml"), "qemu", Path())
        found = [*Cluster(client).run([[trial("a"), trial("b")], [trial("c")]], make)]  # type: ignore[arg-type]

    assert [one.reason for one in found if isinstance(one, Failed)] == []
    assert sorted(one.trial.id for one in found if isinstance(one, Done)) == ["a", "b", "c"]
    sent = [one.text for one in found if isinstance(one, Told) and one.text.startswith("sending")]
    assert [text.split(" to ")[0] for text in sent] == ["sending the image of the machines", "sending the run's files"]
    for name in FILES:
        assert (empty.cache / "images" / key / name).read_bytes() == (image / name).read_bytes()
    assert len(begun(tmp_path)) == 3
    assert empty.left() == []
