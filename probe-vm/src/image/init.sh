#!/bin/busybox sh
# The first and only program of a kvm guest: makes a system that can obey the lines on the control port (orders.sh).
/bin/busybox mkdir -p /dev /proc /sys /tmp
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys

fail() {
    echo "guest: $*" >/dev/console
    poweroff -f
}

for module in virtio_pci virtio_console virtio_net; do
    modprobe "$module" || fail "modprobe $module"
done
tries=0
until [ -c /dev/vport0p1 ] || [ -c /dev/vport1p1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || fail "no control port"
    sleep 0.01
done
for port in /dev/vport*p1; do :; done
exec 3<>"$port"
cd /tmp || fail "no /tmp"
if [ -x /bin/iperf3 ]; then echo ready >&3; else echo ready without iperf3 >&3; fi
. /orders.sh
fail "the control port is gone"
