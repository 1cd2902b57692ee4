//! Where to measure: on this host, or in VMs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RunsOn {
    /// On this host where that can be done, otherwise in VMs.
    Auto,
    /// On this host.
    Host,
    /// In VMs.
    Vm,
}

/// Why this host cannot measure.
pub fn host_lacks() -> Vec<String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let tracefs = mounts.lines().any(|line| line.contains(" - tracefs "));
    // The device node may exist without the module, and then its functions do not.
    let vhost = Path::new("/dev/vhost-net").exists() && Path::new("/sys/module/vhost_net").exists();
    [
        (root, "the user is not root (sudo tracetoll run)"),
        (tracefs, "tracefs is not mounted"),
        (vhost, "vhost-net is not loaded (modprobe vhost_net)"),
    ]
    .into_iter()
    .filter(|(there, _)| !there)
    .map(|(_, lack)| lack.to_owned())
    .collect()
}
