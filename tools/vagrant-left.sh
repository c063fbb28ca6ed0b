#!/bin/sh
# Prints what machines under Vagrant need on this host, one thing a line: processes with their namespaces, networks,
# mounts, files, and what the host's own libvirt holds, if it runs. What is there after a run and was not before it,
# the run has left behind:
#
#     ./tools/vagrant-left.sh >before; ...; ./tools/vagrant-left.sh | comm -13 before -
set -eu
export LC_ALL=C
{
    for process in /proc/[0-9]*; do
        words=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline" || true)
        case "$words" in
        *vagrant-left*) ;;
        *libvirtd* | *virtlogd* | *dnsmasq* | *guest=run-* | *bin/vagrant* | *crashinit/relay*)
            echo "process ${process#/proc/} in $(readlink "$process/ns/net"): $words" ;;
        esac
    done
    for name in /run/netns/* /sys/class/net/* "${CRASHINIT_CACHE:-$HOME/.cache/crashinit}"/vagrant/run-*; do
        if [ -e "$name" ]; then echo "$name"; fi
    done
    awk '/libvirt|crashinit|nsfs/ { print "mount", $5 }' /proc/self/mountinfo
    if [ -S /run/libvirt/libvirt-sock ] || [ -S /run/libvirt/virtqemud-sock ]; then
        virsh() { command virsh -q -c qemu:///system "$@"; }
        virsh list --all --name | sed -n 's/./domain &/p'
        virsh net-list --all --name | sed -n 's/./network of libvirt &/p'
        virsh pool-list --name | while read -r pool; do
            [ -z "$pool" ] || virsh vol-list "$pool" </dev/null | sed -n "s/./in the pool '$pool' &/p"
        done
    fi
} | sort -u
