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
root=vda drivers=virtio_blk
case " $($B cat /proc/cmdline) " in
*" crashinit.root=pmem0 "*) root=pmem0 drivers="libnvdimm nd_btt nd_pmem nfit" ;;
esac
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci $drivers; do
    $B insmod /mods/$m.ko || echo "crashinit: module '$m' cannot be loaded"
done
while [ ! -e /dev/$root ]; do $B usleep 10000; done
$B mount -t ext4 /dev/$root /newroot || echo "crashinit: the root disk cannot be mounted"
$B mkdir -p /newroot/opt/crashinit
$B cp -pR /payload/. /newroot/opt/crashinit/
$B mount --move /dev /newroot/dev
exec $B switch_root /newroot /opt/crashinit/init
