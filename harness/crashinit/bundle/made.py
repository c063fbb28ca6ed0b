"""How a bundle is made: from one trial of a run that is over."""

import gzip
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from crashinit import adapters
from crashinit.adapters import Adapter
from crashinit.bundle import about as abouts
from crashinit.bundle import carried, nobody
from crashinit.bundle.about import About
from crashinit.bundle.readme import readme
from crashinit.bundle.tree import KERNEL_LOG, README, SCENARIO, STORY, names, placed
from crashinit.errors import UsageError
from crashinit.files import packed
from crashinit.files.safe import write, write_text
from crashinit.machine import guests
from crashinit.machine.cache import cache_dir
from crashinit.machine.guests import Guest
from crashinit.machine.guests.image import FACTS, cached
from crashinit.model.events import TrialResult
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.report import html, read
from crashinit.report.results import RunRecord
from crashinit.report.results import write as write_run
from crashinit.report.stories import Stories
from crashinit.report.told import told
from crashinit.run import kept
from crashinit.run.kept import Prepared
from crashinit.scenario import scenario
from crashinit.text.printable import one_line

NAME_LIMIT = 120  # characters of an archive's name before its ending


@dataclass(frozen=True)
class Failure:
    """One trial of a run with all that the run keeps of it."""

    directory: Path
    run: RunRecord
    trial: Trial
    result: TrialResult
    evidence: Evidence
    prepared: Prepared  # of this trial alone

    @classmethod
    def of(cls, trial: Trial, directory: Path) -> "Failure":
        """Read it. Raises UsageError where the run does not keep all of it."""
        run = read(directory)
        result = next((one for one in run.results if one.id == trial.id), None)
        evidence = Stories(directory, run.driver).evidence(result) if result else None
        if result is None or evidence is None:
            raise UsageError(
                f"'{directory}' keeps no evidence of the trial '{trial.id}': 'crashinit replay' runs it, and its own "
                "run can be packed."
            )
        if not carried.comes_along(trial.setup):
            raise UsageError(
                f"'{trial.setup.given}' names an adapter's file: only a root that an adapter of crashinit makes can be "
                "packed."
            )
        return cls(directory, run, trial, result, evidence, kept.read_prepared(directory).only([trial]))


def file_name(failure: Failure) -> str:
    """What its archive is called by default."""
    words = f"{adapters.load(failure.trial.driver).name}-{failure.trial.id}"
    return f"{re.sub('[^A-Za-z0-9._+]+', '-', words).strip('.-')[:NAME_LIMIT]}.tar.gz"


def make(
    failure: Failure, target: Path, *, anyway: bool = False, add: Callable[[Path], tuple[str, ...]] = lambda where: ()
) -> None:
    """Write the bundle of a trial, whole or not at all.

    `anyway`: also if it tells of this host. `add`: writes further files into its directory, and gives their names.
    Raises UsageError, HostError.
    """
    with tempfile.TemporaryDirectory(prefix="crashinit-") as temporary:
        where = Path(temporary, "bundle")
        adapter = adapters.load(failure.trial.driver)
        guest = guests.load(failure.run.guest or guests.DEFAULT)
        file = carried.adapter(failure.trial.driver, adapter, where)
        system = carried.guest(guest, where)
        about = About(
            form=1,
            trial=failure.trial.id,
            crashinit=version("crashinit"),
            name=target.name,
            driver=adapter.name,
            guest=abouts.Guest(
                name=guest.name,
                own=carried.is_own(guest),
                kernel=failure.evidence.kernel or failure.run.kernel,
                packages=_packages(failure, guest, adapter),
            ),
            images=add(where),
        )
        about.write(where)
        _run(failure, where, str(file), str(system) if about.guest.own else guest.name)
        _for_people(failure, where, about, adapter)
        placed(where, target, about.adapter, about.guest_file if about.guest.own else guest.name)
        for own, run in names(failure.trial, adapter):
            (where / run).replace(where / own)
        for path in where.rglob("*.gz"):
            if path.parent.name in (kept.EVIDENCE, kept.RECORDINGS):  # all others are as they were given
                write(path, nameless(path.read_bytes()))
        if not anyway:
            nobody.refuse(where, [failure.directory, cache_dir(), where, Path(__file__).parents[1]])
        packed.pack(where, target)


def _run(failure: Failure, where: Path, driver: str, guest: str) -> None:
    """The directory of a run with this trial alone, by the adapter and guest there."""
    trial = replace(failure.trial, driver=driver, guest=guest if failure.trial.guest else "")
    needed = dict(names(failure.trial, adapters.load(driver))).values()
    recordings = {
        name: recording
        for name, recording in failure.prepared.recordings.items()
        if f"{kept.RECORDINGS}/{name}" in needed
    }
    scenarios = failure.prepared.scenarios
    replace(failure.prepared, trials=[trial], recordings=recordings, scenarios=scenarios).store(where)
    kept.store(where, trial.id, failure.evidence)
    result = replace(
        failure.result, driver=driver, guest=guest if failure.result.guest else "", same_as="", same_state_as=""
    )
    alone = replace(
        failure.run, driver=driver, guest=guest, planned=[trial.id], left_out=[], narrowed=True, select="", shard="",
        results=[result],
    )  # fmt: skip
    write_run(where, alone)


def _for_people(failure: Failure, where: Path, about: About, adapter: Adapter) -> None:
    """What is there to be read without this program."""
    run = read(where)
    (result,) = run.results
    story = Stories(where, run.driver).of(result)
    if story is not None:
        write_text(where / STORY, "".join(f"{one_line(line, None)}\n" for line in told(result, story, whole=True)))
    if failure.evidence.after is not None:
        write_text(where / KERNEL_LOG, "".join(f"{line}\n" for line in failure.evidence.after.kernel_log))
    if said := _scenario(failure):
        shown = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=100)
        write_text(where / SCENARIO, f"# The scenario that the trial is of.\n{shown}")
    write_text(where / README, readme(about, failure.evidence, result, adapter, has_scenario=bool(said)))
    write_text(where / html.REPORT, html.render(run, where).replace(f"{where}/", ""))  # it names the adapter's file


def _scenario(failure: Failure) -> dict[str, Any]:
    """What its scenario says: as the run keeps it, or as it is found by its name. {}: neither."""
    name = failure.trial.scenario
    if said := failure.prepared.scenarios.get(name):
        return {**said}
    try:
        every = scenario.find([scenario.SCENARIOS])
    except UsageError:
        return {}
    found = next((one for one in every if one.name == name), None)
    return found.model_dump(mode="json", exclude_unset=True) if found else {}


def _packages(failure: Failure, guest: Guest, adapter: Adapter) -> dict[str, str]:
    """The versions of the packages that its machine had; {} where this host cannot know."""
    image = cached(guest, adapter.packages)
    try:
        facts = image.facts if image else {}
        built = (image.path / FACTS).stat().st_mtime if image else 0.0
    except (OSError, ValueError):
        return {}
    began = failure.run.started and _seconds(failure.run.started)
    same_kernel = facts.get("kernel") == (failure.evidence.kernel or failure.run.kernel)
    return dict(facts.get("packages", {})) if began and built <= began and same_kernel else {}


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


def nameless(data: bytes) -> bytes:
    """The same content packed with gzip without the time and the name of its file (RFC 1952, 2.3)."""
    fixed, named, begin = bytearray(data[:10]), data[3:4] == b"\x08", 10
    if data[3:4] not in (b"\x00", b"\x08"):
        return gzip.compress(gzip.decompress(data), mtime=0)
    if named:
        begin = data.index(b"\0", begin) + 1
    fixed[3:8] = bytes(5)
    return bytes(fixed) + data[begin:]
