"""What the options ask for, read once: the same that the arguments of `crashinit run` and `explore` come to."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from crashinit.plugin.options import exploration, flag, number, option, provider, words
from crashinit.run.directory import run_directory

if TYPE_CHECKING:
    from crashinit.baseline.known import Known
    from crashinit.campaign.shard import Shard
    from crashinit.campaign.tries import HowOften
    from crashinit.scenario.scenario import Scenario


class Asked(NamedTuple):
    """One run."""

    driver: str
    provider: str
    out: Path
    resume: bool
    force: bool
    often: "HowOften"
    known: "tuple[Known, ...] | None"
    shard: "Shard | None"
    limit: float | None  # seconds
    explored: "list[Scenario]"  # instead of scenario files; none: these


def read(config: pytest.Config) -> Asked:
    """Read all options. Raises CrashinitError, as the command does, or UsageError."""
    from crashinit import adapters
    from crashinit.baseline.known import load
    from crashinit.campaign.limit import seconds_of
    from crashinit.campaign.shard import Shard
    from crashinit.campaign.tries import HowOften

    resume, force = flag(config, "resume"), flag(config, "force")
    out, baseline, shard, limit = (option(config, name) for name in ("out", "baseline", "shard", "max-time"))
    driver = adapters.changed(option(config, "driver"), words(config, "set"))
    return Asked(
        driver=driver,
        provider=provider(config),
        out=run_directory(Path(out) if out else None, "pytest", resume=resume, force=force).absolute(),
        resume=resume,
        force=force,
        often=HowOften(
            number(config, "confirm"),
            number(config, "repeat"),
            number(config, "seeds", least=1),
            not flag(config, "no-merge"),
        ),
        known=load(Path(baseline)) if baseline else None,
        shard=Shard.parse(shard) if shard else None,
        limit=seconds_of(limit) if limit else None,
        explored=exploration(config, driver),
    )
