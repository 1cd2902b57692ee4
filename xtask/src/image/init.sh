#!/bin/busybox sh
# The first and only program of a kvm guest: does what the lines on the control port say, and tells on the same port
# what came of it (probe-user/src/workload/kvm/channel.rs is the other end).
#
#   address IP/BITS PEER PEER_MAC   configure eth0          -> done
#   send PEER PORT ARGUMENTS…       start iperf3            -> sending, once it is connected
#   quiet                           end iperf3              -> report BYTES, and so many bytes of JSON
#   hogs N                          N `yes` from now on     -> done
#   off                             power off
#
# Everything that it tells is told by the loop below, so that no two lines mix. What ends by itself tells the loop, by
# way of the same pipe as the port.
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
mkfifo /tmp/lines
exec 4<>/tmp/lines
while read -r line <&3; do echo "$line"; done >&4 &

tell() { echo "$*" >&3; }

address() {
    ip link set lo up && ip link set eth0 up && ip addr add "$1" dev eth0 &&
        arp -s "$2" "$3"
}

# iperf3's control connection and its data connection, both established (state 01).
connected() {
    port=$(printf ':%04X 01' "$1")
    [ "$(grep -c "$port" /proc/net/tcp)" -ge 2 ]
}

send() {
    peer=$1 at=$2
    shift 2
    iperf3 --client "$peer" --port "$at" --json "$@" >/tmp/report 2>/tmp/complaint &
    iperf3=$!
    (
        while [ -d "/proc/$iperf3" ] && ! connected "$at"; do sleep 0.02; done
        [ -d "/proc/$iperf3" ] && echo "@sending"
    ) >&4 &
}

quiet() {
    if [ -n "$iperf3" ]; then
        kill -INT "$iperf3" 2>/dev/null
        wait "$iperf3"
        iperf3=
    fi
    tell "report $(wc -c </tmp/report)"
    cat /tmp/report >&3
}

hogs() {
    while [ "$running" -lt "$1" ]; do
        yes >/dev/null &
        pids="$! $pids"
        running=$((running + 1))
    done
    while [ "$running" -gt "$1" ]; do
        kill "${pids%% *}"
        pids=${pids#* }
        running=$((running - 1))
    done
}

iperf3=
running=0
pids=
command -v iperf3 >/dev/null && tell ready || tell ready without iperf3
while read -r word rest <&4; do
    case $word in
    address) address $rest && tell "done" || tell "failed: cannot configure eth0" ;;
    send) send $rest ;;
    quiet) quiet ;;
    hogs) hogs "$rest" && tell "done" ;;
    off) poweroff -f ;;
    @sending) tell sending ;;
    *) tell "failed: unknown order $word" ;;
    esac
done
