"""What each entry of a baseline covers in a run, and why it is there."""

from collections import Counter
from collections.abc import Iterator, Sequence

from crashinit.baseline.judgement import Judgement
from crashinit.baseline.known import Known, place
from crashinit.report.again import replay
from crashinit.report.words import many


def explained(known: Sequence[Known], judgement: Judgement) -> Iterator[str]:
    """The entries in their order as lines, with the trials of the run that they cover; then what the run says else."""
    for number, entry in enumerate(known, 1):
        covered = [result for result, by in judgement.expected if by is entry]
        missed = {one.place: one for one in judgement.missed if one.known is entry}
        yield f"{number}. {entry.title()}"
        yield f"   why: {entry.reason}"
        yield f"   covers {many(len(covered), 'trial')} of this run{_when(entry)}"
        counts = Counter(place(result.step, result.operation) for result in covered)
        for at, also in entry.at.items():
            said = many(counts[at], "trial")
            if at in missed:
                said = "no longer fails" if missed[at].tried else "no trial of the run is there"
            beside = f", {', '.join(sorted(also))} may fail as well" if also else ""
            yield f"   - {at}: {said}{beside}"
        if covered:
            yield f"   again: {replay(covered[0], None)}"
    yield from judgement.sentences()


def _when(entry: Known) -> str:
    if entry.seeds:
        return f"; a race under seeds {', '.join(map(str, sorted(entry.seeds)))}"
    return "; a race: it may converge as well" if entry.sometimes else ""
