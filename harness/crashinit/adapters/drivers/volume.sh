# What the small drivers share; sourced by them in bash, with $name and $root set. Nothing of it guesses: what is not
# recorded was never handed out, and is made anew; what is recorded is never made again.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
image=$root/disk.img mnt=$root/mnt

die() {
    echo "$name: $1" >&2
    exit 1
}

# Runs a command; where it fails init ends with one message that has the words $1 and what the command said.
must() {
    local what=$1 said
    shift
    said=$("$@" 2>&1) || die "$what: ${said//$'\n'/ }"
}

# One init at a time: the lock is held by all that it starts, so that the next one waits for orphans as well.
lock() {
    mkdir -p "$root/state" || die "cannot make the directory '$root/state'"
    exec 9>"$root/lock" || die "cannot make the lock file '$root/lock'"
    flock 9 || die "cannot take the lock '$root/lock'"
}

# Whether there is a record of the volume $1. Where that cannot be told, init ends: `test -e` would take an unreadable
# directory for one without a record, and a user's data would be made anew.
recorded() {
    local names
    names=$(ls "$root/state") || die "cannot read the directory '$root/state'"
    [[ $'\n'$names$'\n' == *$'\n'"$1.json"$'\n'* ]]
}

# The loop device over the image; there is never a second one. Sets $device.
attach() {
    local found
    found=$(stat -c %s "$image" 2>/dev/null) || found=0
    if test "$found" != "$1"; then
        ! recorded base || die "the image file '$image' has $found bytes, and not the $1 of the recorded base: left alone"
        truncate -s "$1" "$image" || die "cannot make the image file '$image'"
    fi
    device=$(losetup --noheadings --raw --output NAME --associated "$image") || die "cannot look for a loop device"
    if test -z "$device"; then
        device=$(losetup --find --show "$image") || die "cannot attach a loop device to '$image'"
    fi
}

detach() {
    local attached
    attached=$(losetup --noheadings --raw --output NAME --associated "$image") || die "cannot look for a loop device"
    test -z "$attached" || losetup --detach "$attached" || die "cannot detach the loop device '$attached'"
}

# The record that the volume $1 is ready: durable itself, and only once what it tells of is durable. $2: its id, $3: the
# device that holds the file system, $4: the file system's type.
save() {
    local record=$root/state/$1.json bytes uuid
    bytes=$(blockdev --getsize64 "$3") || die "cannot read the size of the device '$3'"
    uuid=$(uuid_of "$3") # on a line of its own: a command that fails inside the words of another one ends nothing
    must "cannot write the record '$record.tmp'" write_record "$record.tmp" "$1" "$2" "$bytes" "$4" "$uuid"
    sync "$record.tmp" "$root" || die "cannot sync the record '$record.tmp'"
    mv "$record.tmp" "$record" || die "cannot rename the record '$record'"
    sync "$root/state" || die "cannot sync the directory of the record '$root/state'"
}

write_record() {
    printf '{"name": "%s", "id": %s, "size": %s, "ready": true, "fstype": "%s", "uuid": "%s"}\n' "${@:2}" >"$1"
}

uuid_of() {
    # blkid(8) ends in the same way for both.
    blkid -p -s UUID -o value "$1" ||
        die "cannot read the file system's UUID from the device '$1': Input/output error, or no file system there"
}

# That what is mounted, or is to be, is what the record tells of. A read error is an error, and never a blank disk.
verify() {
    local record=$root/state/base.json recorded found
    recorded=$(sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' "$record") || die "cannot read the record '$record'"
    found=$(uuid_of "$1")
    test "$recorded" = "$found" || die "the base's UUID is '$found', but '$recorded' is recorded: left alone"
}

mounted() {
    mountpoint -q "$mnt"
}

# Mounts the device $2, a file system of the type $1, unless it is mounted.
mount_base() {
    local said
    mkdir -p "$mnt" || die "cannot make the directory '$mnt'"
    if mounted || said=$(mount -t "$1" "$2" "$mnt" 2>&1); then
        finish_removals
        return
    fi
    # What mount(8) says in place of the text of EIO.
    test -n "${said##*"can't read superblock"*}" || said="Input/output error: $said"
    die "cannot mount '$2' on '$mnt': $said"
}

# A program that was killed leaves the semaphore on which it was to wait for udev. That one is nobody's: no process waits
# on it, and the last one that touched it is dead, or none ever did. Those of programs at work are left alone.
release_cookies() {
    local cookies key id waiting last
    cookies=$(dmsetup udevcookies) || die "dmsetup cannot list the semaphores of udev"
    udevadm settle || die "udev does not come to an end" # meanwhile a program at work has set its own
    while read -r key id _; do
        read -r _ _ _ waiting last < <(ipcs -s -i "$id" | sed -n '/^semnum/{n;p}') || continue
        test "$waiting" != 0 || test -e "/proc/$last" || ipcrm -s "$id" || die "cannot remove the semaphore $key"
    done < <(sed 1d <<<"$cookies")
}

# Prints what is recorded, and changes nothing.
records() {
    local volumes=
    if compgen -G "$root/state/*.json" >/dev/null; then
        volumes=$(cat "$root/state/"*.json) || die "cannot read the records in '$root/state'"
    fi
    printf '{"volumes": [%s]}\n' "${volumes//$'\n'/, }"
}

# What a driver does unless it says otherwise: a user's volume is a directory below the mount point.
unmount_base() {
    ! mounted || umount "$mnt" || die "cannot unmount '$mnt'"
}

shutdown() {
    lock
    unmount_base
    detach
}

# The base is there for the first time: $1 is the device with its file system, $2 the type of that.
finish_base() {
    mkdir -p "$mnt/volumes" || die "cannot make the directory '$mnt/volumes'"
    sync -f "$mnt" && sync "$1" "$device" "$image" || die "cannot sync the file system on '$mnt'"
    save base 1 "$1" "$2"
}

create() { mkdir "$mnt/volumes/$1" && sync "$mnt/volumes"; }
mount_user() { test -d "$mnt/volumes/$1" && echo "$mnt/volumes/$1"; }
unmount() { sync -f "$mnt/volumes/$1"; }
# A volume goes in one step: where it ends half-way there is all of it, or nothing that bears its name.
remove() { mv "$mnt/volumes/$1" "$mnt/volumes/.removed-$1" && sync "$mnt/volumes" && finish_removals; }

finish_removals() {
    ! compgen -G "$mnt/volumes/.removed-*" >/dev/null || rm -r "$mnt/volumes/.removed-"* ||
        die "cannot remove what is left in '$mnt/volumes' of a volume that was to be removed"
}

# The command line: what to do, the root, and a volume's name.
main() {
    case $1 in
    mount) mount_user "$3" ;;
    init | shutdown | records | create | unmount | remove) "$1" "${@:3}" ;;
    *) die "'$1' is no command: init, shutdown, records, create, mount, unmount, remove" ;;
    esac
}
