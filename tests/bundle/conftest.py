"""A bundle of a published run's trial, made once."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit.bundle import made
from crashinit.cli.plans import find

from ..report.test_story import PUBLISHED, WEDGE


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is opened goes into a cache of the test's own."""
    monkeypatch.setenv("CRASHINIT_CACHE", str(tmp_path / "own cache"))


def failure(directory: Path = PUBLISHED, trial: str = WEDGE) -> made.Failure:
    """A trial of a run."""
    plan, trials = find(trial, directory)
    return made.Failure.of(trials[0], plan.parent)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of dockerd's wedge."""
    target = tmp_path_factory.mktemp("bundle") / "wedge.tar.gz"
    made.make(failure(), target)
    return target


def held(archive: Path) -> dict[str, bytes]:
    """All that an archive holds, by name; what is packed inside is unpacked."""
    with tarfile.open(archive) as file:
        found = {entry.name: file.extractfile(entry) for entry in file}
        read = {name: content.read() for name, content in found.items() if content}
    return {name: gzip.decompress(data) if name.endswith(".gz") else data for name, data in read.items()}


def changed(archive: Path, target: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """A copy of an archive with other files, as a stranger may write it."""
    with tarfile.open(archive) as file:
        files = {entry.name: content.read() for entry in file if (content := file.extractfile(entry))}
    change(files)
    with tarfile.open(target, "w:gz", format=tarfile.USTAR_FORMAT) as out:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    return target
