#!/bin/busybox sh
# The guest's first program (process 1): loads what the boot needs, finds the root, and hands over to
# /run/vm/stage2. Settings written by guest.rs: boot, boot_modules, ports,
# kernel_modules, results.
for dir in /bin /sbin /usr/bin /usr/sbin /dev /proc /sys /tmp /run /etc /root; do
    /bin/busybox mkdir -p "$dir"
done
/bin/busybox --install -s
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
. /run/vm/settings

fail() {
    echo "tracetoll: cannot boot: $*" >/dev/console
    poweroff -f
}

# Several modules may be built in on one kernel and not on the next: boot_modules names only files.
for module in $boot_modules; do
    modprobe "$module" || fail "modprobe $module"
done

# There is no udev: name the ports as it would. They appear some time after their driver, one by one,
# and each a moment before its name.
mkdir -p /dev/virtio-ports
name_ports() {
    for name in /sys/class/virtio-ports/*/name; do
        port=${name%/name}
        read -r label <"$name" && ln -sf "../${port##*/}" "/dev/virtio-ports/$label"
    done 2>/dev/null
    for port in $ports; do
        [ -e "/dev/virtio-ports/tracetoll.$port" ] || return 1
    done
}
tries=0
until name_ports; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || fail "no virtio ports"
    sleep 0.02
done

if [ "$boot" = initramfs ]; then
    exec /bin/sh /run/vm/stage2
fi

# The machine's root, read-only, below a tmpfs that takes what the guest writes.
mkdir -p /lower /upper /newroot
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro root /lower || fail "9p root"
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /newroot ||
    fail "overlay"
mount -t tmpfs -o mode=755 run /newroot/run
modules=/newroot/lib/modules/$(uname -r)
mkdir -p "$modules" && mount --bind "/newroot$kernel_modules" "$modules" || fail "modules"
if [ -n "$results" ]; then
    mkdir -p "/newroot$results"
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none results "/newroot$results" ||
        fail "9p results"
fi
for dir in dev proc sys; do
    mount --move "/$dir" "/newroot/$dir"
done
cp -a /run/vm /newroot/run/vm
cp /bin/busybox /newroot/run/vm/busybox
exec switch_root /newroot /bin/sh /run/vm/stage2
