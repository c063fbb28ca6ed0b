"""The base device is held open by somebody else while init wants it gone."""

from collections.abc import Callable

from crashinit.adapters.driven import Driven
from crashinit.model.observation import Run

# Opens the device of that name; the sleep inherits the open file.
HOLD = """
exec 3</dev/dm-$(dmsetup info -c --noheadings -o minor {name})
sleep infinity >/dev/null 2>&1 &
echo $! >/run/holder
"""
RELEASE = "kill $(cat /run/holder)"


def test_held_base_is_named(
    driver: Driven,
    shell: Callable[[str], str],
    killed_at: Callable[..., Run],
    refuses: Callable[..., str],
    recovers: Callable[..., Run],
) -> None:
    """A half-made base that somebody holds open is named, in bounded time; let go, it is made anew."""
    killed_at(driver, "exec mkfs.ext4#1")
    base = driver.observe().base_name
    shell(HOLD.format(name=base))

    refuses(driver, f"'{base}'", "busy")

    shell(RELEASE)
    recovers(driver)


def test_held_initialised_base_is_named(
    driver: Driven, shell: Callable[[str], str], refuses: Callable[..., str], recovers: Callable[..., Run]
) -> None:
    """An initialised base that somebody activated and holds open is named; let go, it is found again."""
    assert driver.init().exit == 0
    before = driver.observe(digests=True)
    assert before.base is not None
    table = f"0 {before.base.device_size // 512} thin /dev/mapper/{before.pool_name} {before.base_id}"
    shell(f"dmsetup create {before.base_name} --table '{table}'")
    shell(HOLD.format(name=before.base_name))

    refuses(driver, f"'{before.base_name}'", "busy")

    shell(RELEASE)
    recovers(driver, before=before)
