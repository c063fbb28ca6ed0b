"""The story of a trial."""

from dataclasses import replace
from pathlib import Path

from crashinit.model.events import TrialResult
from crashinit.model.observation import Mount, OperationRecord, Uevent
from crashinit.report.results import read
from crashinit.report.stories import Stories
from crashinit.report.story import Story, story, tree

from ..contract import builder
from .events import failing, results

PUBLISHED = Path(__file__).parents[2] / "reports/dockerd-20.10.24"
WEDGE = "steps/pool-create/during/dm.table-load-pool-1/process"


def operation(n: int, key: str, **detail: str) -> OperationRecord:
    kind, _, thing = key.partition(" ")
    return OperationRecord(
        n=n, key=f"{key}#1", kind=kind, object=thing, detail=detail, pid=7, program="x", seconds=n / 10
    )


def published(trial: str) -> tuple[TrialResult, Story]:
    """A trial of a published run, and its story."""
    result = next(result for result in read(PUBLISHED).results if result.id == trial)
    told = Stories(PUBLISHED, "dockerd").of(result)
    assert told is not None
    return result, told


def of(result: TrialResult, **changes: object) -> Story:
    """The story of evidence that is changed so, beside a healthy init of five operations."""
    keys = ("exec driver", "loop.configure data", "dm.create pool", "exec mkfs.ext4", "exit driver")
    healthy = builder.reference().model_copy(
        update={"fault_run": builder.run(operations=[operation(n, key) for n, key in enumerate(keys, 1)])}
    )
    evidence = builder.evidence().model_copy(update=changes)
    return story(result, evidence, healthy, None, None, Path("reports/x"))


def test_what_init_did_ends_where_it_was_struck() -> None:
    """Operations with their arguments, and the events between them, in the order of time; the last is the one that was
    struck."""
    operations = [operation(1, "exec driver", argv="driver init"), operation(2, "loop.configure data", backing="/d")]
    event = Uevent(seconds=0.15, source="kernel", action="change", sysname="loop0", dm_name="")
    told = of(results()[0], fault_run=builder.run(exit=-9, operations=operations, uevents=[event]), fired=operations[1])

    assert [(line.number, line.what, line.about, line.struck) for line in told.before] == [
        (1, "exec driver#1", "driver init", False),
        (None, "kernel: change loop0", "", False),
        (2, "loop.configure data#1", "backing /d", True),
    ]
    assert told.after == []
    assert told.struck == "The driver alone was killed before operation 1, loop.set-fd data#1."


def test_an_init_that_goes_on_is_told_to_its_end() -> None:
    """After an error that a call returns init goes on: what it did then, and how it ended, is part of the story."""
    operations = [operation(n, key) for n, key in enumerate(("exec driver", "dm.create pool", "dm.remove pool"), 1)]
    result = replace(results()[0], id="s/dm.create/EIO-once", fault="errno", victim="once")
    told = of(result, fault_run=builder.run(exit=3, operations=operations, stderr="no pool\n"), fired=operations[1])

    assert [line.what for line in told.after] == ["dm.remove pool#1"]
    assert told.ended == "It ended with exit status 3: 'no pool'."
    assert told.struck.startswith("EIO once: returned by operation 1")


def test_the_next_init_is_held_against_a_healthy_one() -> None:
    """What a healthy init does and this one did not is named, and what it did beside that; reads do not count."""
    mine = [operation(n, key) for n, key in enumerate(("exec driver", "dm.status pool", "dm.remove pool"), 1)]
    told = of(results()[0], reinits=[builder.run(operations=mine)])

    (init,) = told.inits
    assert init.missing == ["loop.configure data", "dm.create pool", "exec mkfs.ext4", "exit driver"]
    assert init.beside == ["dm.remove pool"]
    assert init.name == "the next init" and init.ok


def test_inits_that_did_the_same_are_told_once() -> None:
    """Of several inits in a row that did the same, in whatever order, and ended alike, one is told."""
    keys = ("exec driver", "exec cat")
    bad, same = (
        builder.run(exit=1, stderr="no\n", operations=[operation(n, key) for n, key in enumerate(order, 1)])
        for order in (keys, reversed(keys))
    )
    told = of(results()[0], reinits=[bad, same, builder.run()])

    assert [(init.name, init.ok) for init in told.inits] == [
        ("inits 1 to 2 of 3 after it", False),
        ("init 3 of 3 after it", True),
    ]


def test_each_failed_clause_has_its_requirement() -> None:
    """Expected is what the contract requires, found is the reason of the verdict."""
    told = of(failing(results()[0], "diverged", "attached twice", {"C01": "pass", "C03": "fail"}))

    (broken,) = told.broken
    assert (broken.clause, broken.name, broken.found) == ("C03", "backing", "attached twice")
    assert broken.rule.startswith("Data and metadata are loop devices")


def test_what_is_left_is_a_tree() -> None:
    """Each device stands above those that its table names; what nothing stands on is a tree of its own."""
    state = builder.replace(
        builder.observe(data_loop=3, metadata_loop=4),
        loops=[builder.attached(3, "data", 1), builder.attached(4, "metadata", 1), builder.attached(5, "old", 1)],
        mounts=[Mount(source="/dev/loop5", target="/m", fstype="ext4", options="rw")],
        mapper_nodes=["docker-254:0-1234-pool", "stale"],
    )

    pool, metadata, data, old, mount, node = tree(state)
    assert pool.startswith("docker-254:0-1234-pool (254:0)  0 524288 thin-pool")
    assert metadata == "  loop4 (7:4)  /var/lib/thin/metadata  autoclear"
    assert data.startswith("  loop3 (7:3)")
    assert old.startswith("loop5 (7:5)")
    assert mount == "mount  /dev/loop5 on /m, ext4"
    assert node == "node  /dev/mapper/stale without a device"


def test_a_published_wedge_tells_its_cause() -> None:
    """Of a pool that was created and not yet loaded, the story shows the pair of operations, and what remains."""
    result, told = published(WEDGE)

    assert [line.what for line in told.before if line.number][-2:] == ["dm.create pool#1", "dm.table-load pool#1"]
    assert "dm.create pool" in told.inits[0].missing
    assert told.devices[0].endswith("(254:0)  no table")
    assert {fact.path: (fact.healthy, fact.found) for fact in told.facts}["base/fstype"] == ("ext4", None)
    assert [broken.clause for broken in told.broken] == [c for c, s in result.clauses.items() if s == "fail"]
    assert told.commands["a shell at that moment"].endswith("--shell")


def test_a_trial_without_evidence_has_no_story(tmp_path: Path) -> None:
    """What a run did not keep is not told; a damaged file is none."""
    assert Stories(tmp_path, "reference").of(results()[0]) is None
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "steps~loopback~before~op~process.json.gz").write_bytes(b"no gzip")
    assert Stories(tmp_path, "reference").of(results()[0]) is None
