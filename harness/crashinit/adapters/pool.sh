#!/bin/sh
# For a driver that is given its pool: `up` makes it unless it is there, `down` takes it away with all that stands on it.
# Usage: pool.sh up|down NAME DIRECTORY
set -e
name=$2 dir=$3
case $1 in
up)
    ! dmsetup info "$name" > /dev/null 2>&1 || exit 0
    mkdir -p "$dir"
    truncate -s 256M "$dir/data"
    truncate -s 16M "$dir/metadata"
    data=$(losetup --find --show "$dir/data")
    metadata=$(losetup --find --show "$dir/metadata")
    dmsetup create "$name" --table "0 524288 thin-pool $metadata $data 128 32768 1 skip_block_zeroing"
    losetup --detach "$data" "$metadata" # once the pool lets them go
    ;;
down)
    # A container engine leaves its snapshots active, and the system's shutdown ends them.
    for device in $(dmsetup ls --target thin | sed -n "s/^\($name-snap-[0-9]*\).*/\1/p"); do
        dmsetup remove --retry "$device"
    done
    dmsetup remove --retry "$name"
    ;;
esac
