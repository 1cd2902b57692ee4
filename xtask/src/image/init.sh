#!/bin/busybox sh
# The first and only program of a kvm guest: does what the lines on the control port say, and tells on the same port
# what came of it (probe-user/src/workload/kvm/channel.rs is the other end).
#
#   address IP/BITS PEER PEER_MAC   configure eth0                              -> done
#   send PORT COMMAND…              start an iperf3 client, which uses PORT     -> sending, once it is connected
#   quiet                           end it                                      -> report BYTES, then so many of JSON
#   hogs N                          from now on, N `yes` run                    -> done
#
# What ends without having been told to is told: "ended NAME STATUS".
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

# Starts a program under a name, and tells the loop below when it has ended.
run() {
    name=$1
    shift
    (
        "$@" &
        echo $! >"/tmp/$name"
        wait $!
        echo "@ended $name $?" >&4
    ) &
    until [ -s "/tmp/$name" ]; do sleep 0.01; done
}

# Has it end.
stop() {
    mv "/tmp/$2" "/tmp/$2.stopped"
    kill "-$1" "$(cat "/tmp/$2.stopped")"
}

# Control and data connection are both established (state 01).
connected() {
    [ "$(grep -c "$(printf ':%04X 01' "$1")" /proc/net/tcp)" -ge 2 ]
}

send() {
    at=$1
    shift
    # The one before may not have ended yet.
    clients=$((clients + 1))
    client=iperf3-$clients
    run "$client" "$@" >"/tmp/$client.report" 2>&1
    (
        until connected "$at" || ! [ -e "/tmp/$client" ]; do sleep 0.02; done
        echo "@connected $client" >&4
    ) &
}

report() {
    tell "report $(wc -c <"/tmp/$1.report")"
    cat "/tmp/$1.report" >&3
}

hogs() {
    while [ "$running" -lt "$1" ]; do
        running=$((running + 1))
        run "yes$running" yes >/dev/null
    done
    while [ "$running" -gt "$1" ]; do
        stop KILL "yes$running"
        running=$((running - 1))
    done
}

# Of what was to end, only iperf3 has something to say.
ended() {
    if [ -e "/tmp/$1.stopped" ]; then
        case $1 in iperf3-*) report "$1" ;; esac
    else
        case $1 in iperf3-*) cat "/tmp/$1.report" >/dev/console ;; esac
        tell "ended $1 $2"
    fi
    rm -f "/tmp/$1" "/tmp/$1.stopped" "/tmp/$1.report"
}

clients=0
running=0
if [ -x /bin/iperf3 ]; then tell ready; else tell ready without iperf3; fi
while read -r word rest <&4; do
    # shellcheck disable=SC2086 # the rest are words
    case $word in
    address) if address $rest; then tell "done"; else tell "failed: cannot configure eth0"; fi ;;
    send) send $rest ;;
    quiet) stop INT "$client" ;;
    hogs) hogs "$rest" && tell "done" ;;
    @connected) if [ -e "/tmp/$rest" ]; then tell sending; fi ;;
    @ended) ended $rest ;;
    *) tell "failed: unknown order $word" ;;
    esac
done
fail "the control port is gone"
