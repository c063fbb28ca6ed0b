"""What a family gives the contract: the ways in which steps are told."""

from crashinit.contract.family import by_entries, by_patterns

from ..families.traces import trace

STEPS = ("first", "second", "third")


def test_steps_by_patterns_begin_where_an_operation_matches() -> None:
    """In the order of the table, never back, and one may be passed over."""
    patterns = {"first": (), "second": ("exec zpool",), "third": ("exec mkfs.*", "mount.mount *")}

    assert by_patterns(patterns, trace("file.create x", "exec zpool", "file.create y", "mount.mount m")) == [
        "first", "second", "second", "third"
    ]  # fmt: skip
    assert by_patterns(patterns, trace("exec mkfs.ext4", "exec zpool")) == ["third", "third"]


def test_steps_by_entries_need_the_step_before_them() -> None:
    """A step begins only once the trace has reached the one that it comes after; the exit ends the last one."""
    entries = (
        ("second", "first", lambda operation: operation.kind == "b"),
        ("third", "second", lambda operation: operation.kind == "c"),
    )

    assert by_entries(STEPS, entries, trace("c x", "b x", "a x", "c x", "b x")) == [
        "first", "second", "second", "third", "third"
    ]  # fmt: skip
    assert by_entries(STEPS, entries, trace("a x", "exit exit")) == ["first", "third"]


def test_what_only_asks_begins_no_step() -> None:
    """It is in the trace where errors are to strike, and must not move a step's beginning."""
    entries = (("second", "first", lambda operation: True),)

    assert by_entries(STEPS, entries, trace("dm.list x", "a x")) == ["first", "second"]
