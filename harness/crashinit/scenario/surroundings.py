"""What is scarce, or otherwise, around an init: limits, semaphores, room on its file system, the clock."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Surroundings(BaseModel):
    """The key `surroundings` of a scenario. What is not given is as usual."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    nofile: int | None = Field(
        default=None,
        ge=0,
        le=1 << 20,
        strict=True,
        description="RLIMIT_NOFILE of the driver: open files. setrlimit(2).",
    )
    fsize: int | None = Field(
        default=None, ge=0, strict=True, description="RLIMIT_FSIZE of the driver: bytes of a file. setrlimit(2)."
    )
    nproc: int | None = Field(
        default=None, ge=1, le=1000, strict=True, description="Processes and threads of the driver at most: pids.max."
    )
    semaphores: int | None = Field(
        default=None, ge=0, le=32000, strict=True, description="Sets of semaphores of the machine: SEMMNI. proc(5)."
    )
    own_ipc: bool | None = Field(
        default=None,
        alias="own-ipc",
        strict=True,
        description="The driver has an IPC namespace of its own, as in a container: udevd sees none of its semaphores.",
    )
    room: int | None = Field(
        default=None, ge=0, strict=True, description="Bytes that are left on the file system of the root."
    )
    read_only: bool | None = Field(
        default=None, alias="read-only", strict=True, description="The root's directory cannot be written to."
    )
    clock: int | None = Field(
        default=None,
        ge=-(1 << 30),
        le=1 << 30,
        strict=True,
        description="Seconds by which the clock is set forward, or back.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.words:
            raise ValueError("'surroundings' says nothing: give one of its keys, such as 'nofile'")
        return self

    @property
    def words(self) -> tuple[str, ...]:
        """What is given, as `key=number`."""
        given = self.model_dump(by_alias=True, exclude_none=True)
        return tuple(f"{key}={int(value)}" for key, value in given.items() if value is not False)
