"""The document that an adapter's [records] command prints: what the driver wrote down about its volumes."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crashinit.files import refused


class StatedVolume(BaseModel):
    """One volume, as the driver's records have it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="As its user calls it; the first one that init makes is 'base'.")
    id: int = Field(ge=0, description="Its number: of a thin device its id in the pool, else any that is its own.")
    size: int = Field(ge=0, description="Bytes.")
    ready: bool = Field(description="Whether it was made to its end, so that a user may be given it.")
    uuid: str = Field(default="", description="Of its file system; left out where the records have no place for it.")
    fstype: str = Field(default="", description="Type of its file system, as blkid names it.")


class StatedRecords(BaseModel):
    """All that the driver's records say."""

    model_config = ConfigDict(extra="forbid")

    volumes: list[StatedVolume] = Field(description="Every volume that is recorded, complete or not; [] on a new root.")
    transaction: int | None = Field(default=None, ge=0, description="The pool's transaction id that goes with them.")


def volume(text: str) -> StatedVolume:
    """One volume of the document. Raises ValueError with what is wrong, as half a sentence."""
    try:
        return StatedVolume.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(refused.sentence(refused.first(error), StatedVolume).rstrip(".")) from None
