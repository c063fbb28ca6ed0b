#!/bin/bash
# containerd's init as the harness understands it: the daemon starts on the given pool and prepares a first snapshot.
# The daemon takes this shell's place, so it is the process that a fault strikes; the reader of its log is its child.
ctr="ctr --address /run/containerd/containerd.sock snapshots --snapshotter devmapper"
prepare() {
    $ctr info base > /dev/null 2>&1 && echo "crashinit: the base is there" && return
    if said=$($ctr prepare base "" 2>&1); then
        echo "crashinit: the base is prepared"
    else
        # It would serve on without a base, and nobody would learn that its init has failed.
        echo "crashinit: the base cannot be prepared: $said"
        kill -TERM $$
        exec cat > /dev/null # what it says of its end would hide why it ended
    fi
}
exec containerd --config /etc/containerd/crashinit.toml 2> >(
    while read -r line; do
        echo "$line"
        case $line in
        *"containerd successfully booted"*) prepare ;;
        esac
    done >&2
)
