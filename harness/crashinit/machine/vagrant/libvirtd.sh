#!/bin/sh
# First process of the namespaces (mount, network, pid) that a private libvirtd lives in: when it ends, all do.
# What libvirt reads and writes is on tmpfs of its own here, so the host's configuration is neither used nor changed.
# $1: the directory on the disk that holds what machines write. It says "ready" when it is.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for where in /run /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mount -t tmpfs -o mode=755 tmpfs $where
done
# As root: a user without access to /dev/kvm makes libvirt probe QEMU anew, for a minute, at each look-up.
# No cgroups: those would be the host's, and outlive the namespaces.
cat >/etc/libvirt/qemu.conf <<'END'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
END
cat >/etc/libvirt/libvirtd.conf <<'END'
auth_unix_rw = "none"
END
ip link set lo up
libvirtd >&2 &
until virsh -q -c qemu:///system uri >/dev/null 2>&1; do
    kill -0 $! || exit 1
    sleep 0.1
done
# vagrant-libvirt takes the network of this name if there is one. Without the spanning tree protocol, and so without
# its seconds of silence after each start of a machine; without NAT, for there is nothing outside to reach.
cat >/run/network.xml <<'END'
<network>
  <name>vagrant-libvirt</name>
  <forward mode='open'/>
  <bridge name='crashinit0' stp='off' delay='0'/>
  <ip address='192.168.121.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.121.2' end='192.168.121.254'/></dhcp>
  </ip>
</network>
END
virsh -q -c qemu:///system net-define /run/network.xml
virsh -q -c qemu:///system net-start vagrant-libvirt
virsh -q -c qemu:///system pool-create-as default dir --target "$1"
echo ready
wait
