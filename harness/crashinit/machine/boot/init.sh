#!/bin/sh
# Second part of the boot: what a driver needs of a system, then the agent. No other service runs here.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
mkdir -p /run/lock
hostname crashinit
ip link set lo up 2>/dev/null
modprobe -a dm-thin-pool loop xfs virtio_console
/lib/systemd/systemd-udevd --daemon
# Only what storage drivers see: a trigger for all devices would load modules for seconds (kvm, crypto, ...).
udevadm trigger --action=add --subsystem-match=block --subsystem-match=misc --subsystem-match=virtio-ports
udevadm settle
cd /opt/crashinit
port=/dev/virtio-ports/crashinit.agent.0
case " $(cat /proc/cmdline) " in
*" crashinit.mailbox "*) port=mailbox ;;
*) while [ ! -e $port ]; do sleep 0.05; done ;;
esac
python3 -m compileall -q crashinit
while :; do
    python3 -m crashinit.guest.agent $port
    echo "crashinit: the agent ended with $?"
    sleep 1
done
