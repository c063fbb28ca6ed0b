#!/bin/sh
# Installs the Debian packages that the provider 'vagrant' needs beside those of host-packages.sh, where one is missing.
# vagrant-libvirt is Debian's: no plugin is downloaded.
exec "$(dirname "$0")/packages.sh" vagrant vagrant-libvirt libvirt-daemon-system libvirt-daemon-driver-qemu \
    libvirt-clients dnsmasq-base iptables dbus netcat-openbsd iproute2 openssh-client util-linux
