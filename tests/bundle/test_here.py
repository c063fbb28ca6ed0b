"""What is different here, in one sentence."""

import pytest
from crashinit.bundle.about import About, Guest
from crashinit.bundle.here import sentence

PACKAGES = {"dmsetup": "2:1.02.185-2", "udev": "252.39-1"}
ABOUT = About(
    form=1,
    trial="a",
    crashinit="0.1.0",
    name="a.tar.gz",
    driver="reference",
    guest=Guest(name="debian12", own=False, kernel="6.1.0-40", packages=PACKAGES),
)
FACTS = {"kernel": "6.1.0-40", "packages": PACKAGES}


def test_the_same_is_said_as_well() -> None:
    """So that nobody looks for a difference."""
    assert sentence(ABOUT, "0.1.0", "debian12", FACTS) == (
        "Nothing is different here: crashinit 0.1.0, guest debian12, kernel 6.1.0-40; the same 2 packages."
    )


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (("0.2.0", "debian12", FACTS), "crashinit 0.2.0 (the bundle was made by 0.1.0)."),
        (("0.1.0", "debian13", FACTS), "the guest debian13 (there debian12)."),
        (("0.1.0", "debian12", {**FACTS, "kernel": "6.1.0-56"}), "kernel 6.1.0-56 (there 6.1.0-40)."),
        (
            ("0.1.0", "debian12", {**FACTS, "packages": {**PACKAGES, "udev": "252.40-1"}}),
            "1 package of 2: udev 252.40-1 (there 252.39-1).",
        ),
        (
            ("0.1.0", "debian12", {**FACTS, "packages": {"dmsetup": PACKAGES["dmsetup"], "strace": "6.1"}}),
            "2 packages of 3: strace 6.1 (there none), udev is not there (there 252.39-1).",
        ),
        (
            ("0.2.0", "debian12", {}),
            "crashinit 0.2.0 (the bundle was made by 0.1.0); the packages of both guests cannot be compared.",
        ),
    ],
)
def test_each_difference_is_named(here: tuple[str, str, dict[str, object]], said: str) -> None:
    """With both versions."""
    assert sentence(ABOUT, *here) == f"What is different here: {said}"


def test_of_many_packages_some_are_named() -> None:
    """The sentence stays one that can be read."""
    here = {f"p{n}": "2" for n in range(9)}
    guest = ABOUT.guest.model_copy(update={"packages": dict.fromkeys(here, "1")})
    said = sentence(ABOUT.model_copy(update={"guest": guest}), "0.1.0", "debian12", {**FACTS, "packages": here})

    assert "9 packages of 9: p0 2 (there 1), " in said and said.endswith("p4 2 (there 1) and 4 more.")


def test_what_is_not_known_is_no_difference() -> None:
    """A run that recorded no kernel and no packages, and a provider whose image nobody knows."""
    unknown = ABOUT.model_copy(update={"guest": Guest(name="debian12", own=False, kernel="", packages={})})

    assert sentence(unknown, "0.1.0", "debian12", FACTS) == (
        "Nothing is different here: crashinit 0.1.0, guest debian12, kernel not recorded; the packages of both guests "
        "cannot be compared."
    )
