#!/bin/sh
# Brings the VM of the Vagrantfile up by hand, initialises the driver in it over `vagrant ssh`, and destroys it.
# To be run beside a libvirtd (python -m crashinit.machine.vagrant.libvirtd). $1: the box.
set -eu
home=$(mktemp -d)
export VAGRANT_HOME="$home" VAGRANT_DOTFILE_PATH="$home/state"
export VAGRANT_DEFAULT_PROVIDER=libvirt VAGRANT_CHECKPOINT_DISABLE=1
disk=crashinit_vagrant_box_image_0_box.img # Vagrant leaves the box's disk in the pool, for the next time
virsh() { command virsh -q -c qemu:///system "$@"; }
had=$(virsh vol-list default 2>/dev/null | grep -c "$disk" || true)
leave() {
    vagrant destroy -f >/dev/null 2>&1 || true
    [ "$had" != 0 ] || virsh vol-delete --pool default "$disk" >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap leave EXIT
quietly() {
    "$@" >"$home/said" 2>&1 || { tail -n 20 "$home/said" >&2; return 1; }
}
quietly vagrant box add --name crashinit "$1"
# The device that is there is not always one that works: emulation always does.
export CRASHINIT_VAGRANT_ACCEL="${CRASHINIT_VAGRANT_ACCEL:-tcg}"
quietly vagrant up
vagrant ssh -c 'sudo thindriver init --root /var/lib/thindriver --storage-opt dm.basesize=16M \
    --storage-opt dm.loopdatasize=256M --storage-opt dm.loopmetadatasize=16M && sudo dmsetup ls'
quietly vagrant destroy -f
vagrant status | grep -q 'not created'
echo "vagrant up, ssh, thindriver init, destroy: done, and no domain is left"
