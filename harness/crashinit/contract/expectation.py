"""What init was asked for, in the terms that the clauses compare with."""

from typing import Literal

from pydantic import Field

from crashinit.model.observation import Record

MetadataFormat = Literal["docker", "containers-storage", "containerd", "none"]


class Expectation(Record):
    """The configuration under test. The names of pool and base depend on the root's inode, so the observation
    carries them. All sizes are in bytes."""

    fstype: str  # as blkid names it: "ext4", "xfs"
    base_size: int
    data_size: int
    metadata_size: int
    metadata_format: MetadataFormat
    deadline: float  # seconds that one init may take
    block_size: int = 65536
    low_water_mark: int = 32768  # blocks of the pool
    features: tuple[str, ...] = ("skip_block_zeroing",)
    backing: Literal["loop", "block", "given"] = "loop"  # "given": the pool itself was handed to the driver
    data_file: str = "devicemapper/data"  # relative to the root; backing "loop"
    metadata_file: str = "devicemapper/metadata"
    data_device: str = ""  # "major:minor"; backing "block"
    metadata_device: str = ""
    metadata_dir: str = "metadata"  # relative to the root: where the driver keeps its own metadata
    not_applicable: dict[str, str] = Field(default_factory=dict)  # clause -> why it cannot be judged for this driver
