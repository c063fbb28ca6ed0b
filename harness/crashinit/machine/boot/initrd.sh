#!/bin/busybox sh
# First process of a machine: mount the root disk, lay the guest code on it, go there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
case " $($B cat /proc/cmdline) " in
*" crashinit.probe "*)
    # The accelerator's probe: this far is far enough.
    echo "crashinit: the probe is alive" >/dev/console
    $B poweroff -f
    ;;
esac
root=vda kind=disk
case " $($B cat /proc/cmdline) " in
*" crashinit.root=pmem0 "*) root=pmem0 kind=memory ;;
esac
for m in $($B cat /mods/$kind.order); do
    $B insmod /mods/$m.ko || echo "crashinit: module '$m' cannot be loaded"
done
tries=0
while [ ! -e /dev/$root ]; do
    tries=$((tries + 1))
    if [ $tries -gt 3000 ]; then
        echo "crashinit: this kernel finds no root disk '$root'"
        $B poweroff -f
    fi
    $B usleep 10000
done
$B mount -t ext4 /dev/$root /newroot || echo "crashinit: the root disk cannot be mounted"
$B mkdir -p /newroot/opt/crashinit
$B cp -pR /payload/. /newroot/opt/crashinit/
$B mount --move /dev /newroot/dev
exec $B switch_root /newroot /opt/crashinit/init
