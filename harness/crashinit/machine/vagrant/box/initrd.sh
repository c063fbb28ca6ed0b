#!/bin/busybox sh
# First process of a box: mount the root disk and go there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
for m in $($B cat /mods/disk.order); do
    $B insmod /mods/$m.ko || echo "crashinit: module '$m' cannot be loaded"
done
while [ ! -e /dev/vda1 ]; do $B usleep 10000; done
$B mount -t ext4 /dev/vda1 /newroot || echo "crashinit: the root disk cannot be mounted"
$B mount --move /dev /newroot/dev
$B umount /proc /sys
exec $B switch_root /newroot /sbin/init
