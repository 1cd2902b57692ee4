# What a guest does: obeys the lines that come in on descriptor 3, one after the other, and tells there what came of
# each (probe-user/src/workload/kvm/channel.rs is the other end). init.sh sources it in an empty folder.
#
#   address IP/BITS PEER PEER_MAC   configure eth0                     -> done
#   clock                           what the time is                   -> clock UPTIME
#   hogs N                          from now on, N `yes` run           -> done
#   send PORT COMMAND…              start a client of PORT's server    -> sending, once it is connected
#   quiet                           end it; it was told to at UPTIME   -> report BYTES UPTIME, and so many bytes of its words
#
# UPTIME is in seconds. An order that cannot be obeyed is answered with "failed: WHY" instead. The next one is looked at
# only when this is done, so each has one answer, in their order; and `quiet` finds a client that can be told to end.
# What ends without having been told to is told: "ended NAME STATUS".
#
# All this is told by the loop at the end, so that no two lines mix. What ends tells the loop, by the same pipe as the port.
mkfifo lines
exec 4<>lines
{
    while read -r line; do echo "$line"; done
    echo @gone
} <&3 >&4 &

# How often a client is started whose server has not done with the one before, a tenth of a second apart.
TRIES=300

# How long a client may take to a place from where it lives to report if it is told to end, in seconds.
TOLD_WITHIN=10

tell() { echo "$*" >&3; }

uptime() { read -r uptime _ </proc/uptime; }

address() {
    ip link set lo up && ip link set eth0 up && ip addr add "$1" dev eth0 && arp -s "$2" "$3"
}

# Starts a program under a name that no other ever has, and has the loop learn of its end.
run() {
    name=$1
    shift
    (
        "$@" &
        echo $! >"$name.pid"
        wait $!
        echo $? >"$name.status"
        echo "@ended $name" >&4
    ) &
    until [ -s "$name.pid" ]; do sleep 0.01; done
}

has_ended() { [ -s "$1.status" ]; }

# Has it end by a command that takes its process id, and waits for that. Nobody is told then, unless it had ended before.
stop() {
    has_ended "$2" && return
    : >"$2.expected"
    read -r pid <"$2.pid"
    "$1" "$pid"
    until has_ended "$2"; do sleep 0.01; done
}

destroy() { kill -KILL "$1"; }

# Not INT, which the shell has what it starts in the background ignore. And not in the middle of malloc, from where iperf3
# jumps to a report that a broken heap keeps it from writing; but in the end all the same. Where it has more threads than one
# this is not needed, and might tell the wrong one (probe-user/src/workload/iperf/ending.rs says more).
interrupt() {
    uptime
    by=$((${uptime%.*} + TOLD_WITHIN))
    while is_single_threaded "$1" && ! stops_outside_of_malloc "$1" && in_time; do
        kill -CONT "$1"
        sleep 0.05
    done
    uptime
    kill -TERM "$1"
    kill -CONT "$1"
}

in_time() { uptime && [ "${uptime%.*}" -lt "$by" ]; }

is_single_threaded() {
    set -- "/proc/$1/task"/*
    [ $# -eq 1 ]
}

# Stops a process, and says whether that was in a system call other than malloc's ($malloc_calls has their numbers here);
# -1 is its own code, and without a stack it has ended. Also if that cannot be told in time.
stops_outside_of_malloc() {
    kill -STOP "$1"
    while in_time && read -r call stack _ <"/proc/$1/syscall"; do
        case "$call $stack" in
        running*) sleep 0.01 ;;
        "-1 0x0") return 0 ;;
        *) case " -1 $malloc_calls " in *" $call "*) return 1 ;; *) return 0 ;; esac ;;
        esac
    done
}

ended() {
    if ! [ -e "$1.expected" ]; then
        [ "$1" != "$client" ] || client=
        [ ! -s "$1.words" ] || cat "$1.words" >&2
        tell "ended $1 $(cat "$1.status")"
    fi
    rm -f "$1".*
}

hogs() {
    while [ "$running" -gt "$1" ]; do
        stop destroy "${herd##* }"
        herd=${herd% *}
        running=$((running - 1))
    done
    while [ "$running" -lt "$1" ]; do
        started=$((started + 1))
        run "yes$started" yes >/dev/null
        herd="$herd yes$started"
        running=$((running + 1))
    done
}

# Control and data connection are both established (state 01).
connected() {
    [ "$(grep -c "$(printf ':%04X 01' "$1")" /proc/net/tcp)" -ge 2 ]
}

# Starts a client, and waits until it is connected; false if it ends before.
try() {
    at=$1
    shift
    started=$((started + 1))
    client=client$started
    run "$client" "$@" >"$client.words" 2>&1
    until connected "$at"; do
        if has_ended "$client"; then
            : >"$client.expected"
            return 1
        fi
        sleep 0.02
    done
}

send() {
    tries=1
    until try "$@"; do
        if [ "$tries" -ge "$TRIES" ] || ! grep -q -e 'busy running a test' -e 'Connection refused' "$client.words"; then
            tell "failed: the client says: $(tail -c 500 "$client.words" | tr '\n\t' '  ')"
            client=
            return
        fi
        tries=$((tries + 1))
        sleep 0.1
    done
    tell sending
}

quiet() {
    uptime
    if [ -z "$client" ]; then
        tell "report 0 $uptime"
        return
    fi
    stop interrupt "$client"
    tell "report $(wc -c <"$client.words") $uptime"
    cat "$client.words" >&3
    client=
}

started=0
running=0
herd=
client=
while read -r word rest <&4; do
    # shellcheck disable=SC2086 # the rest are words
    case $word in
    address) if address $rest; then tell "done"; else tell "failed: cannot configure eth0"; fi ;;
    clock) uptime && tell "clock $uptime" ;;
    hogs) hogs "$rest" && tell "done" ;;
    send) send $rest ;;
    quiet) quiet ;;
    @ended) ended "$rest" ;;
    @gone) break ;;
    *) tell "failed: unknown order $word" ;;
    esac
done
