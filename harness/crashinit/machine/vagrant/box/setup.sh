#!/bin/sh
# Runs in the box's tree: the user that Vagrant logs in as, the network, and nothing that stirs by itself.
# $1: the public key of the user.
set -eu
useradd --create-home --shell /bin/bash vagrant
install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh
echo "$1" >/home/vagrant/.ssh/authorized_keys
chown vagrant: /home/vagrant/.ssh/authorized_keys
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vagrant
# Debian gives users no system directories, where dmsetup and losetup are.
echo 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' >/etc/environment
cat >/etc/systemd/network/eth0.network <<'END'
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
END
systemctl enable systemd-networkd
cat >/etc/ssh/sshd_config.d/crashinit.conf <<'END'
UseDNS no
PasswordAuthentication no
END
echo crashinit >/etc/hostname
echo '127.0.0.1 localhost crashinit' >/etc/hosts
# Under emulation each service costs a second of the boot.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-tmpfiles-clean.timer systemd-timesyncd.service systemd-networkd-wait-online.service \
    systemd-logind.service systemd-binfmt.service getty.target systemd-journal-flush.service \
    systemd-random-seed.service systemd-update-utmp.service modprobe@fuse.service modprobe@drm.service \
    modprobe@configfs.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount sys-kernel-config.mount
