//! Tests of the VM harness, driven from outside as a user would. Each test boots guests, so a plain
//! `cargo test` ignores all of them; `cargo xtask test` runs them after it has prepared kernels and
//! QEMU.

use probe_vm::kernels::SERIES;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// `cargo xtask vm` with these arguments.
fn vm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("vm").args(arguments).stdin(Stdio::null());
    command
}

/// Runs a shell script in a guest.
fn sh(options: &[&str], script: &str) -> Output {
    vm(&[options, &["--", "sh", "-c", script]].concat()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<i32> {
    let parent = i32::try_from(parent).unwrap();
    let stats = procfs::process::all_processes().unwrap().filter_map(|p| p.ok()?.stat().ok());
    stats.filter(|stat| stat.ppid == parent).map(|stat| stat.pid).collect()
}

/// A harness whose guest is up and would run forever, and its QEMU.
fn endless() -> (Child, Vec<i32>) {
    let mut harness = vm(&["--", "sh", "-c", "echo up; exec sleep 1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(harness.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let qemu = children(harness.id());
    assert_eq!(qemu.len(), 1, "one QEMU belongs to a harness");
    (harness, qemu)
}

/// Waits until a process is gone. If it never goes, the test hangs rather than passes.
fn wait_gone(pid: i32) {
    while Path::new(&format!("/proc/{pid}")).exists() {
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "boots guests"]
fn exit_statuses_come_back() {
    for (script, status) in [("exit 7", 7), ("kill -KILL $$", 128 + 9)] {
        assert_eq!(sh(&[], script).status.code(), Some(status), "{script}");
    }
}

#[test]
#[ignore = "boots guests"]
fn kvm_runs_a_guest_or_it_is_said_why_not() {
    let out = sh(&["--accel", "auto"], "true");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let runs = text(&out.stderr).contains(" run by KVM\n");
    assert!(runs || text(&out.stderr).contains(" are emulated (TCG): KVM "), "{out:?}");
    assert_eq!(sh(&["--accel", "kvm"], "true").status.success(), runs);
}

#[test]
fn kvm_counts_no_instructions() {
    let out = sh(&["--accel", "kvm", "--clock", "counted"], "true");
    assert!(!out.status.success() && text(&out.stderr).contains("--clock wall"), "{out:?}");
}

#[test]
#[ignore = "boots guests"]
fn both_streams_come_back_apart_and_whole() {
    let out = sh(&[], "seq 100000; echo \"it's\" broken >&2; exit 1");
    let numbers: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert!(text(&out.stdout) == numbers, "{} bytes came", out.stdout.len());
    assert!(text(&out.stderr).ends_with("it's broken\n"), "{}", text(&out.stderr));
}

#[test]
#[ignore = "boots guests"]
fn the_root_is_the_machines_and_only_results_can_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    fs::write(dir.path().join("given"), "given").unwrap();
    let own = env!("CARGO_MANIFEST_DIR");
    let script =
        format!("cp {here}/given {here}/made && test -e {own}/tests/vm.rs && touch {own}/no");
    let out = sh(&["--results", here], &script);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("made")).unwrap(), "given");
    assert!(!Path::new(own).join("no").exists(), "the guest wrote to the machine's root");
}

#[test]
#[ignore = "boots guests"]
fn every_kernel_boots_with_what_is_measured() {
    // The guest tests boot each series by 9p as well.
    for series in SERIES {
        let boot = if series.whole { "9p" } else { "initramfs" };
        let series = series.name;
        let script = "uname -r; ls -d /dev/vhost-net /dev/net/tun /sys/kernel/tracing/trace_pipe \
                      /sys/fs/bpf /sys/fs/cgroup/cgroup.procs /sys/class/net/lo /dev/pts/ptmx";
        let out = sh(&["--kernel", series, "--boot", boot], script);
        assert!(out.status.success(), "{series} {boot}: {}", text(&out.stderr));
        assert!(text(&out.stdout).starts_with(&format!("{series}.")), "{}", text(&out.stdout));
    }
}

#[test]
#[ignore = "boots guests"]
fn a_panic_ends_with_the_consoles_tail_and_keeps_the_results() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    let port = "/dev/virtio-ports/tracetoll.results";
    let script = format!("(echo one; echo two) >{port}; echo c >/proc/sysrq-trigger; sleep 1000");
    let out = sh(&["--results", here, "--boot", "initramfs"], &script);
    assert_eq!(out.status.code(), Some(125));
    assert!(text(&out.stderr).contains("kernel panicked"), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("sysrq triggered crash"), "{}", text(&out.stderr));
    assert_eq!(fs::read_to_string(dir.path().join("results.jsonl")).unwrap(), "one\ntwo\n");
}

#[test]
#[ignore = "boots guests"]
fn a_guest_that_ends_without_a_word_has_no_status() {
    let out = sh(&[], "echo o >/proc/sysrq-trigger; sleep 1000");
    assert_eq!(out.status.code(), Some(125));
    assert!(text(&out.stderr).contains("without giving an exit status"), "{}", text(&out.stderr));
}

/// A boot that fails as it sometimes does on an emulated processor under load: the kernel believes
/// that its TSC is slow.
#[test]
#[ignore = "boots guests"]
fn a_guest_whose_clock_is_wrong_runs_no_command() {
    let out = sh(&["--accel", "tcg", "--append", "tsc_early_khz=300000"], "echo began");
    assert!(!out.status.success() && out.stdout.is_empty(), "{out:?}");
    assert!(text(&out.stderr).contains("cannot boot: the clock says"), "{}", text(&out.stderr));
}

#[test]
#[ignore = "boots guests"]
fn a_hang_ends_at_the_time_limit() {
    let out = sh(&["--timeout", "20"], "sleep 1000000");
    assert_eq!(out.status.code(), Some(124));
    assert!(text(&out.stderr).contains("time limit"), "{}", text(&out.stderr));
}

#[test]
#[ignore = "boots guests"]
fn ctrl_c_ends_qemu() {
    let (mut harness, qemu) = endless();
    kill_process(Pid::from_child(&harness), Signal::INT).unwrap();
    assert_eq!(harness.wait().unwrap().code(), Some(130));
    assert!(qemu.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
}

#[test]
#[ignore = "boots guests"]
fn a_killed_harness_leaves_no_qemu() {
    let (mut harness, qemu) = endless();
    harness.kill().unwrap();
    harness.wait().unwrap();
    qemu.into_iter().for_each(wait_gone);
}

#[test]
#[ignore = "boots guests"]
fn two_harnesses_run_side_by_side() {
    let statuses = thread::scope(|scope| {
        let runs = ["exit 3", "exit 4"].map(|script| scope.spawn(|| sh(&[], script).status.code()));
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(statuses, [Some(3), Some(4)]);
}

/// Everything that depends on time and chance in a guest, with tasks that contend for its CPUs.
const EVERYTHING: &str = "
    for task in 1 2 3; do
        (i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; cat /proc/self/schedstat) &
    done
    wait
    head -c 16 /dev/urandom | hexdump
    ip link add type veth; ip link
    dmesg
    cat /proc/uptime /proc/schedstat /proc/interrupts /proc/stat /proc/vmstat
    cat /proc/uptime >/dev/virtio-ports/tracetoll.results";

/// Console, result lines and output of one run on the counted clock.
fn counted(cpus: &str, seed: &str) -> [Vec<u8>; 3] {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().to_str().unwrap();
    let out =
        sh(&["--clock", "counted", "--cpus", cpus, "--seed", seed, "--results", here], EVERYTHING);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let console = text(&out.stderr).lines().find_map(|line| line.split_once("console: "));
    let (_, console) = console.expect("the harness says where the console is kept");
    [fs::read(console).unwrap(), fs::read(dir.path().join("results.jsonl")).unwrap(), out.stdout]
}

#[test]
#[ignore = "boots guests"]
fn a_counted_run_is_replayed_byte_for_byte_and_another_seed_differs() {
    let replayed = |cpus| {
        let first = counted(cpus, "5");
        assert!(first.iter().all(|part| !part.is_empty()));
        assert!(first == counted(cpus, "5"), "{cpus} CPUs: the replay differs");
        first
    };
    assert!(replayed("1")[2] != counted("1", "6")[2], "the seed has no effect");
    replayed("2");
}
