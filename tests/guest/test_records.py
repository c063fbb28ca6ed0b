"""The driver's records by its own command."""

import json

import pytest
from crashinit.contract.formats import read
from crashinit.guest.gaps import Gaps
from crashinit.guest.records import base_of, split, texts

BASE = {"name": "base", "id": 1, "size": 64, "ready": True, "uuid": "u", "fstype": "ext4"}


def test_each_volume_is_a_text_of_its_own() -> None:
    """So that a change of one is told by its name."""
    found = split(json.dumps({"volumes": [BASE, {**BASE, "name": "a", "id": 2}], "transaction": 7}))

    assert sorted(found) == ["transaction", "volumes/a", "volumes/base"]
    assert base_of(found) and read("command", found, "").base_uuid == "u"


@pytest.mark.parametrize("document", ["", "[]", '{"volumes": [{}]}', '{"volumes": [{"name": "a"}, {"name": "a"}]}'])
def test_what_is_no_document_of_volumes_is_unreadable(document: str) -> None:
    """It is the contract's to refuse, by the path that it is kept at."""
    found = split(document)

    assert found == {"document": document}
    assert "cannot be read" in read("command", found, "").unreadable["document"]


def test_a_command_that_fails_is_the_states_doing() -> None:
    """Its exit status and what it said are a problem of the state; a command that is not there is the harness's."""
    gaps = Gaps()

    assert texts(("sh", "-c", "echo cannot read >&2; exit 3"), gaps) == {}
    assert "it ended with exit status 3: cannot read" in gaps.problems[0]
    assert texts(("nonesuch-command",), gaps) == {}
    assert "could not be run" in gaps.unseen[0]


def test_a_volume_that_is_not_ready_is_not_initialised() -> None:
    """The format's `ready` is the contract's `initialized`."""
    found = read("command", split(json.dumps({"volumes": [{**BASE, "ready": False}]})), "")

    assert found.base and not found.base.initialized
    assert found.keeps_uuid
