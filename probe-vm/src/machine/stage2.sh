# Second stage of the guest, on its final root: mounts the kernel's file systems, runs the command as a
# child of process 1, reports its exit status through a port of its own, and ends the guest.
. /run/vm/settings
if [ -x /run/vm/busybox ]; then
    bb=/run/vm/busybox
else
    bb=/bin/busybox
fi
for module in $modules; do
    /sbin/modprobe "$module" || echo "tracetoll: cannot load module $module" >/dev/console
done
# Its VMs need none in theirs, and the emulated processor is faster so.
if [ -n "$nested" ]; then
    /sbin/modprobe "$nested" nested=0 || echo "tracetoll: cannot load module $nested" >/dev/console
fi
$bb mkdir -p /dev/pts /dev/shm
$bb mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
$bb mount -t tmpfs -o mode=1777 shm /dev/shm
$bb mount -t tracefs tracefs /sys/kernel/tracing
$bb mount -t debugfs debugfs /sys/kernel/debug
$bb mount -t bpf bpf /sys/fs/bpf
$bb mount -t cgroup2 cgroup2 /sys/fs/cgroup
for link in fd: stdin:/0 stdout:/1 stderr:/2; do
    $bb ln -sf "/proc/self/fd${link#*:}" "/dev/${link%:*}"
done
$bb hostname tracetoll-guest
$bb ip link set lo up

# The kernel takes the measure of an emulated time stamp counter as it boots. Where the processor was kept waiting in that
# moment, the guest's clock runs at another pace from then on. It was set from the RTC, which the host keeps; both tell whole
# seconds. An error of less than a fifth is not seen.
rtc=/sys/class/rtc/rtc0/since_epoch
if [ -r $rtc ] && $bb grep -q tracetoll.clock=wall /proc/cmdline; then
    read -r before <$rtc
    now=$($bb date +%s)
    read -r after <$rtc
    read -r up rest </proc/uptime
    bound=$((2 + ${up%.*} / 20))
    if [ $((now - after)) -gt $bound ] || [ $((before - now)) -gt $bound ]; then
        echo "tracetoll: cannot boot: the clock says $now, and the RTC $after" >/dev/console
        $bb poweroff -f
    fi
fi

port=/dev/virtio-ports/tracetoll
echo booted >$port.exit
if [ "$shell" = yes ]; then
    $bb setsid $bb cttyhack /bin/sh /run/vm/command
    status=$?
else
    /bin/sh /run/vm/command </dev/null >$port.stdout 2>$port.stderr
    status=$?
fi
$bb sync
echo "exit $status" >$port.exit
$bb poweroff -f
