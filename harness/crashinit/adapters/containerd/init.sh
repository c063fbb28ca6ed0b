#!/bin/bash
# containerd's init as the harness understands it: the daemon starts on the given pool and prepares a first snapshot.
# The daemon takes this shell's place, so it is the process that a fault strikes; the reader of its log is its child.
ctr="ctr --address /run/containerd/containerd.sock snapshots --snapshotter devmapper"
prepare() {
    $ctr info base > /dev/null 2>&1 && return
    $ctr prepare base "" > /dev/null && return
    # It would serve on without a base, and nobody would learn that its init has failed.
    kill -KILL $$
    return 1
}
exec containerd --config /etc/containerd/crashinit.toml 2> >(
    while read -r line; do
        echo "$line"
        case $line in
        *"containerd successfully booted"*) prepare && echo "crashinit: the base is prepared" ;;
        esac
    done >&2
)
