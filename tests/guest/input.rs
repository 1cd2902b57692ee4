//! Wrong input, or a host that lacks something, gets one clear error that includes the hint.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use crate::tool::{Folder, binary, refuse, succeed, tiny_blocks, tiny_run, tracetoll};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("input::not_root", not_root),
        crate::test("input::no_vhost_net", no_vhost_net),
        crate::test("input::no_tracefs", no_tracefs),
        crate::test("input::unknown_function", unknown_function),
        crate::test("input::untraceable_function", untraceable_function),
        crate::test("input::held_target", held_target),
        crate::test("input::malformed_scenario", malformed_scenario),
        crate::test("input::malformed_flags", malformed_flags),
        crate::test("input::unwritable_folder", unwritable_folder),
        crate::test("input::vms_without_an_image_leave_nothing", no_image),
        crate::test("input::full_folder_keeps_what_was_written", full_folder),
        crate::test("input::doctor_tells_a_lacking_host_by_its_status", doctor),
        crate::test("input::a_vms_processor_is_not_called_native", in_a_vm),
    ]
}

fn not_root() -> Result<()> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary()?).arg("run");
    refuse(command, 1, &["root", "sudo tracetoll run"])
}

fn no_vhost_net() -> Result<()> {
    succeed(modprobe(&["-r", "vhost_net"]))?;
    let refused = tracetoll(["run"]).and_then(|run| refuse(run, 1, &["modprobe vhost_net"]));
    let doctored = tracetoll(["doctor"])
        .and_then(|doctor| refuse(doctor, 1, &["modprobe vhost_net", "cannot run here"]));
    succeed(modprobe(&["vhost_net"]))?;
    refused.and(doctored)
}

fn modprobe(words: &[&str]) -> Command {
    let mut command = Command::new("modprobe");
    command.args(words);
    command
}

/// In a separate mount namespace, in which tracefs is not mounted.
fn no_tracefs() -> Result<()> {
    let script = "while mount=$(awk '$3 == \"tracefs\" || $3 == \"debugfs\" { print $2; exit }' \
                  /proc/mounts) && [ -n \"$mount\" ]; do umount -l \"$mount\" || exit 9; done; \
                  exec \"$0\" run";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(binary()?);
    refuse(command, 1, &["tracefs", "mount -t tracefs"])
}

fn unknown_function() -> Result<()> {
    refuse(tracetoll(["run", "--target", "handle_txx"])?, 1, &["handle_txx", "handle_tx"])?;
    refuse(tracetoll(["run", "--methods", "ftrace-funktion"])?, 1, &["ftrace-function"])
}

fn untraceable_function() -> Result<()> {
    let traceable = fs::read_to_string("/sys/kernel/tracing/available_filter_functions")?;
    let traceable: std::collections::HashSet<_> = traceable.lines().collect();
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let names = |line: &str| {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        (words.len() == 3 && words[1] == "T").then(|| words[2].clone())
    };
    let name = symbols
        .lines()
        .filter_map(names)
        .find(|name| !traceable.contains(name.as_str()) && name.starts_with("irqentry_"))
        .context("every function is traceable")?;
    refuse(tracetoll(["run", "--target", &name])?, 1, &[&name, "cannot trace"])
}

/// A function tracer of another owner on handle_tx.
fn held_target() -> Result<()> {
    let instance = Path::new("/sys/kernel/tracing/instances/somebody-else");
    fs::create_dir(instance)?;
    let outcome = fs::write(instance.join("set_ftrace_filter"), "handle_tx")
        .and_then(|()| fs::write(instance.join("current_tracer"), "function"))
        .context("holding handle_tx")
        .and_then(|()| while_held());
    fs::write(instance.join("current_tracer"), "nop")?;
    fs::remove_dir(instance)?;
    outcome
}

fn while_held() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    refuse(tiny_run(&folder, "off", &out)?, 1, &["handle_tx", "--allow-shared"])?;
    ensure!(!out.exists(), "a refused run made a result");
    let mut shared = tiny_run(&folder, "off", &out)?;
    shared.arg("--allow-shared");
    succeed(shared)?;
    let campaign: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(out.join("campaign.json"))?)?;
    ensure!(campaign["design"]["shared_target"] == true, "not recorded");
    Ok(())
}

fn malformed_scenario() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.tiny()?;
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("1kpps", "one furlong"))?;
    let mut command = tracetoll(["run", "--scenario"])?;
    command.arg(&file);
    refuse(command, 1, &["tiny.toml, line 15", "one furlong", "20kpps"])
}

fn malformed_flags() -> Result<()> {
    refuse(tracetoll(["run", "--rate", "5"])?, 2, &["--rate", "20kpps"])?;
    refuse(tracetoll(["run", "--duration", "0s"])?, 2, &["--duration", "250ms"])?;
    refuse(tracetoll(["run", "--blocks", "0"])?, 2, &["--blocks"])?;
    refuse(tracetoll(["run", "--until-ci", "0.01"])?, 2, &["--until-ci", "does not end in %"])?;
    refuse(tracetoll(["run", "--scenario", "quikc"])?, 1, &["quikc", "quick"])
}

fn unwritable_folder() -> Result<()> {
    let folder = Folder::new()?;
    let out = Path::new("/proc/nowhere");
    refuse(tiny_run(&folder, "off", out)?, 1, &["/proc/nowhere"])
}

fn no_image() -> Result<()> {
    let folder = Folder::new()?;
    let out = folder.path().join("out");
    let mut run = tracetoll(["run", "--scenario", "paper-a", "--out"])?;
    run.arg(&out);
    refuse(run, 1, &["guests.image", "--guest-image"])?;
    ensure!(!out.exists(), "a refused run made a result");
    Ok(())
}

/// A file system with space only for the journal's first lines.
fn full_folder() -> Result<()> {
    let folder = Folder::new()?;
    let small = folder.path().join("small");
    fs::create_dir(&small)?;
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=12k", "none"]).arg(&small);
    succeed(mount)?;
    let outcome = fill(&folder, &small);
    let mut unmount = Command::new("umount");
    unmount.arg(&small).stdin(Stdio::null());
    succeed(unmount)?;
    outcome
}

fn fill(folder: &Folder, small: &Path) -> Result<()> {
    let run = tiny_blocks(folder, "off", &small.join("out"), "50")?;
    refuse(run, 1, &["journal.jsonl", "No space left", "space"])?;
    let journal = fs::read_to_string(small.join("out/journal.jsonl"))?;
    ensure!(journal.lines().count() >= 2, "nothing was kept: {journal}");
    for line in journal.lines() {
        serde_json::from_str::<serde_json::Value>(line).context("a cut line was kept")?;
    }
    let mut report = tracetoll(["report"])?;
    report.arg(small.join("out"));
    succeed(report).map(drop)
}

fn doctor() -> Result<()> {
    let text = succeed(tracetoll(["doctor"])?)?;
    ensure!(text.contains("The default campaign can run here."), "{text}");
    let json = tracetoll(["doctor", "--format", "json"])?.output()?;
    let diagnosis: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    ensure!(diagnosis["default_campaign"] == true, "{diagnosis}");
    let methods = diagnosis["methods"].as_array().context("no methods")?;
    ensure!(methods.iter().any(|method| method["name"] == "bpf-fentry-count"), "{diagnosis}");
    Ok(())
}

/// The harness's VMs run on QEMU's emulator, whose model and firmware can have any name. The answer
/// depends on what runs this VM.
fn in_a_vm() -> Result<()> {
    let json = tracetoll(["doctor", "--format", "json"])?.output()?;
    let diagnosis: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    let platform = &diagnosis["platform"];
    // QEMU's own processor has this name; any other one is the host's.
    let emulated = fs::read_to_string("/proc/cpuinfo")?.contains("QEMU TCG");
    let expected = if emulated { "emulated" } else { "virtual" };
    ensure!(platform == expected, "the platform is {platform}, not {expected}");
    Ok(())
}
