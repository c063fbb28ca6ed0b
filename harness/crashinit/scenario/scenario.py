"""The scenario model: YAML in, validated objects out.

A scenario says where a driver is to be struck, and how. It names no operation numbers: those come from the
driver's own trace, in the plan.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crashinit import families
from crashinit.errors import UsageError
from crashinit.files import refused, textfile, yamlfile
from crashinit.model.fault import kind_of
from crashinit.model.trial import MADE_BY
from crashinit.scenario import together
from crashinit.scenario.errnos import ERRNOS, Errno
from crashinit.scenario.expected import Failure, Report
from crashinit.scenario.surroundings import Surroundings
from crashinit.scenario.together import ALL, DEFAULT_POWER_CUT_ROOT

Fault = Literal[
    "kill",
    "term",
    "int",
    "supervisor",
    "child",
    "stop",
    "hang",
    "actor",
    "none",
    "bad-disk",
    "slow",
    "errno",
    "power-cut",
]
Phase = Literal["before", "during", "after"]
Victim = Literal["process", "tree"]
# The first two for faults that strike the driver, the others for power cuts (powercut/layout.py)
GIVEN = ("fresh", "populated", "ext4", "xfs", "block", "ext4-populated", "xfs-populated", "block-populated")
MADE_BY_FORM = rf"{MADE_BY}[^\s@]+(@[^\s@]+)?"
Recovery = Literal["init", "reboot"]
PART_OF_A_NAME = re.compile(r"[^ .-].*")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

NAME_LIMIT = 100  # characters of a scenario's name, with which the trials' ids and their files' names begin
SPELT = 40  # characters of a value that a message repeats as it is written


class Scenario(BaseModel):
    """One scenario file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    title: str = Field(max_length=1000, description="One sentence: what is done to the driver.")
    name: str = Field(
        default="",
        description=f"Begins the trials' ids; by default folder and file name. At most {NAME_LIMIT} characters.",
    )
    given: str = Field(
        default="fresh",
        max_length=200,
        json_schema_extra={"anyOf": [{"enum": list(GIVEN)}, {"pattern": f"^{MADE_BY_FORM}$"}]},
        description="The root before the faulted init: 'fresh' (empty), 'populated' "
        "(initialised earlier, a device with known data in it, then shut down), or 'made-by:ADAPTER@GUEST' (populated "
        "by another driver; without '@GUEST' on the same guest). Of a power cut: the disks that it lies "
        "on, 'ext4' (default), 'xfs' or 'block', with '-populated' for a used root.",
    )
    at_on: dict[str, tuple[str, ...]] = Field(
        default={},
        description="By driver the operations to strike there instead of 'at': drivers differ in their keys.",
    )
    fault: Literal[
        "kill",
        "term",
        "int",
        "supervisor",
        "child",
        "stop",
        "hang",
        "actor",
        "none",
        "bad-disk",
        "slow",
        "errno",
        "power-cut",
    ] = Field(
        default="kill",
        description="What is done at the boundary: 'kill' (SIGKILL), 'term' and 'int' (SIGTERM, SIGINT, which a driver "
        "may catch), 'supervisor' (SIGTERM, and SIGKILL after 'seconds'), 'child' (SIGKILL of the one process that is "
        "about to act, if that is not the driver itself), 'stop' (SIGSTOP for 'seconds'), 'hang' (the operation does "
        "not return), 'errno' (it fails with an error), 'actor' (nothing but what 'actor' does), 'none' (nothing but "
        "the 'surroundings'), 'bad-disk' and 'slow' (the disk below the root, for a while), or 'power-cut'.",
    )
    during: Literal["init", "shutdown", "create", "remove", "use"] = Field(
        default="init",
        description="What is struck: the 'init'; the 'shutdown'; or what a user asks a driver for that is up: to "
        "'create', to 'remove' or to 'use' (mount) a volume. Init has to converge afterwards.",
    )
    surroundings: Surroundings | None = Field(
        default=None, description="What is scarce, or otherwise, around the struck init: limits, room, the clock."
    )
    lasting: bool = Field(
        default=False, strict=True, description="Whether the 'surroundings' are around all later inits as well."
    )
    disk: tuple[Literal["errors", "zeros", "lost-writes"], ...] = Field(
        default=("errors", "zeros"),
        min_length=1,
        description="With 'fault: bad-disk', what requests meet: 'errors' (they fail), 'zeros' (reads give zeros, "
        "and writes are lost), 'lost-writes'.",
    )
    lasts: int | None = Field(
        default=None,
        ge=0,
        strict=True,
        description="With 'fault: bad-disk' and 'slow', for how many operations; 0: to the end of the init. By default "
        "1, and of 'slow' 0.",
    )
    repeat: int = Field(
        default=1,
        ge=1,
        le=100,
        strict=True,
        description="How many inits in a row are struck there; one that does not come there is run to its end.",
    )
    actor: str = Field(
        default="",
        max_length=1000,
        description="Who else comes at the boundary, before the fault strikes: 'holder' (opens every device), 'reader' "
        "(reads them), 'mount' (mounts what there is, out of sight), 'second-init', 'other-owner' (makes devices of "
        "its own), or a command for the machine's shell.",
    )
    release: Literal["before", "during", "after", "never"] = Field(
        default="after", description="When the actor lets go: 'before', 'during' or 'after' the re-init, or 'never'."
    )
    step: str | None = Field(
        default=None, description="The step to strike, 'all' for every boundary of the init; or give 'at'."
    )
    steps: tuple[str, ...] = Field(default=(), description="With 'step: all', only boundaries in these steps.")
    phases: tuple[Phase, ...] = Field(
        default=("before", "during", "after"),
        description="'before' the step's first operation, 'during' it (before each further one), 'after' its last.",
    )
    at: tuple[str, ...] = Field(
        default=(), description="Operations to strike before, by key as `crashinit trace` prints it, instead of a step."
    )
    victims: tuple[Victim, ...] = Field(
        default=("process", "tree"),
        description="'process': the driver alone, its children live on; 'tree': its whole cgroup at once.",
    )
    errnos: tuple[Errno, ...] = Field(
        default=ERRNOS, description="With 'fault: errno', the errors; each only where the operation may return it."
    )
    representative: bool = Field(
        default=False,
        strict=True,
        description="Of operations in a row that ask the same of the same object (block writes of a mkfs), strike "
        "only the first, the middle and the last.",
    )
    recovery: Recovery = Field(
        default="init", description="What follows the fault: 'init' again at once, or a 'reboot' and then init."
    )
    udev: Literal["default", "settled", "late", "lost", "stopped"] = Field(
        default="default",
        description="When udevd deals with its events, from the boundary on: as it does ('default'), before each "
        "further operation ('settled'), a second after the next init began ('late'), all but the one that the "
        "operation makes ('lost'), or not before all inits have ended ('stopped').",
    )
    options: tuple[str, ...] = Field(default=(), description="Storage options beyond the adapter's own.")
    deadline: float = Field(
        default=60.0, gt=0, le=3600, strict=True, allow_inf_nan=False, description="Seconds that one init may take."
    )
    seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        strict=True,
        allow_inf_nan=False,
        description="With 'fault: supervisor', from SIGTERM to SIGKILL; with 'fault: stop', how long.",
    )
    restarts: int = Field(
        default=3, ge=1, le=10, strict=True, description="How many re-inits are tried before giving up."
    )

    report: Report | None = Field(default=None, description="The failure that this models, as somebody reported it.")
    expect: dict[str, Failure | Literal["converged"]] = Field(
        default={},
        description="By driver what is expected: 'converged', or which clauses fail and what their reasons say. A run "
        "fails where that is not met.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_characters(cls, data: Any) -> Any:
        for key, value in data.items() if isinstance(data, dict) else ():
            for text in (value, *value) if isinstance(value, list | tuple) else (value,):
                if isinstance(text, str) and (bad := CONTROL.search(text)):
                    raise ValueError(f"'{key}' holds the control character {bad[0]!r}, which nothing here may hold")
        return data

    @field_validator("name")
    @classmethod
    def _begins_ids(cls, name: str) -> str:
        if len(name) > NAME_LIMIT:
            raise ValueError(f"'name' has {len(name)} characters, and at most {NAME_LIMIT} are allowed")
        if name and not (name.isprintable() and all(PART_OF_A_NAME.fullmatch(part) for part in name.split("/"))):
            raise ValueError(
                f"'name' is '{name}': it is made of printable characters, and neither it nor what follows a '/' in it "
                "may be empty or begin with a dot, a dash or a blank"
            )
        return name

    @field_validator("step", "steps")
    @classmethod
    def _are_steps(cls, value: str | tuple[str, ...] | None, info: ValidationInfo) -> str | tuple[str, ...] | None:
        known = families.steps()
        for step in (value,) if isinstance(value, str) else value or ():
            if step not in known and not (step == ALL and info.field_name == "step"):
                may = (*known, ALL) if info.field_name == "step" else known
                raise ValueError(
                    f"'{info.field_name}' is {refused.shown(step)}, but may only be {', '.join(map(repr, may))}"
                )
        return value

    @field_validator("steps", "phases", "at", "victims", "errnos", "disk")
    @classmethod
    def _once_each(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise ValueError(f"'{info.field_name}' names '{twice}' twice")
        return values

    @field_validator("given", mode="before")
    @classmethod
    def _made_by(cls, value: Any) -> Any:
        """'given: {made-by: X}' is 'given: made-by:X'."""
        if isinstance(value, dict) and list(value) == ["made-by"] and isinstance(value["made-by"], str):
            return f"{MADE_BY}{value['made-by']}"
        return value

    @field_validator("given")
    @classmethod
    def _is_a_root(cls, value: str) -> str:
        if value not in GIVEN and not re.fullmatch(MADE_BY_FORM, value):
            may = ", ".join(map(repr, GIVEN))
            raise ValueError(f"'given' is '{value}', but may only be {may} or '{MADE_BY}ADAPTER@GUEST'")
        return value

    @model_validator(mode="before")
    @classmethod
    def _disks_of_a_power_cut(cls, data: Any) -> Any:
        if isinstance(data, dict) and kind_of(str(data.get("fault"))).cuts_power:
            return {"given": DEFAULT_POWER_CUT_ROOT, **data}
        return data

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        together.check(self)
        return self

    def on(self, driver: str) -> "Scenario":
        """The scenario as it is for this driver."""
        return self.model_copy(update={"at": self.at_on[driver]}) if driver in self.at_on else self

    def concerns(self, driver: str) -> bool:
        """Whether it is run on this driver: one that says what it expects of drivers is for these."""
        return not self.expect or driver in self.expect


SCENARIOS = Path("scenarios")


def shipped() -> Path:
    """The directory of the scenarios that come along: in the package, or at the top of a checkout."""
    inside = Path(__file__).parents[1] / SCENARIOS
    return inside if inside.is_dir() else Path(__file__).parents[3] / SCENARIOS


def located(path: Path) -> Path:
    """Where a path leads: `scenarios/...` that is not in the working directory is one of those that come along."""
    if path.parts[:1] == SCENARIOS.parts and not path.exists():
        own = shipped().joinpath(*path.parts[1:])
        return own if own.exists() else path
    return path


def find(paths: Sequence[Path]) -> list[Scenario]:
    """The scenarios in these files and below these directories, in a stable order.

    Raises UsageError for a path that does not exist, holds no scenario, or a file that is not a valid scenario.
    """
    scenarios: list[Scenario] = []
    for path in map(located, paths):
        files = list(_files(path))
        if not files:
            raise UsageError(f"'{path}' holds no scenario: name a .yaml file, or a directory with such files in it.")
        scenarios += [load(file) for file in files]
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.name in seen:
            raise UsageError(f"two scenarios are named '{scenario.name}': set 'name' in one of them.")
        seen.add(scenario.name)
    return scenarios


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*.yaml") if not file.is_dir())
    elif path.exists():
        yield path
    else:
        raise UsageError(f"'{path}' does not exist.")


def load(path: Path) -> Scenario:
    """Read one scenario file; UsageError names the file, the line and what is allowed there."""
    if path.suffix == ".py":
        raise UsageError(f"{path}: a scenario in Python is run by pytest: 'pytest {path} --crashinit-driver D'.")
    try:
        node, data = yamlfile.read(textfile.read(path, "a scenario"))
    except yamlfile.YamlError as error:
        raise UsageError(f"{path}:{error.line}: not valid YAML: {error}.") from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(data, dict):
        raise UsageError(f"{path}:1: a scenario is a mapping of keys such as 'title' and 'step'.")
    _refuse_duplicates(path, node)
    own_name = "name" in data
    data.setdefault("name", f"{path.resolve().parent.name}/{path.stem}")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        fault = refused.first(error)
        line, written = _place(node, fault["loc"])
        said = refused.sentence(fault, Scenario, written)
        if said.startswith("'name'") and not own_name:
            said = f"{said.rstrip('.')}; this one is the file's path: rename the file, or set 'name' in it."
        raise UsageError(f"{path}:{line}: {said}") from error


def from_options(data: dict[str, Any], options: Mapping[str, str]) -> Scenario:
    """A scenario from a command's options (their names by key); UsageError names the option and what it may be."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        said = refused.sentence(refused.first(error), Scenario)
        for key, option in options.items():
            said = said.replace(f"'{key}'", f"'{option}'").replace(f"'{key}: ", f"'{option} ")
        raise UsageError(said) from error


def _refuse_duplicates(path: Path, node: yaml.MappingNode) -> None:
    """Raise UsageError for a key that stands twice: YAML would take the last one without a word."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            raise UsageError(f"{path}:{line}: the key '{key.value}' stands in line {lines[key.value]} already.")
        lines[key.value] = line


def _place(node: yaml.MappingNode, location: tuple[int | str, ...]) -> tuple[int, str]:
    """The 1-based line of the key or item that a validation error is about, and how it is spelt if that is short.

    A text is not: it needs its quotes.
    """
    here: yaml.Node = node
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(here, yaml.MappingNode):
            found = next(((key, value) for key, value in here.value if key.value == part), None)
            if found is None:
                break
            line, here = found[0].start_mark.line + 1, found[1]
        elif isinstance(here, yaml.SequenceNode) and isinstance(part, int):
            here = here.value[part]
            line = here.start_mark.line + 1
    is_spelt = isinstance(here, yaml.ScalarNode) and not here.tag.endswith(":str") and len(here.value) < SPELT
    return line, here.value if is_spelt else ""
