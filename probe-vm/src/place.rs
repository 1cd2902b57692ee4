//! Where to measure: on this host, or in VMs.

use crate::machine::ClockName;
use anyhow::{Result, bail};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// On this host where that can be done, otherwise in VMs.
    Auto,
    /// On this host.
    Host,
    /// In VMs.
    Vm,
}

impl Place {
    /// Whether to measure on this host, by the clock that is asked for, and why.
    ///
    /// # Errors
    /// It is asked for, and cannot.
    pub fn decide(self, clock: Option<ClockName>) -> Result<(bool, String)> {
        match (clock, self) {
            (Some(ClockName::Counted), Self::Host) => {
                bail!("only VMs count instructions: leave --on host or --clock counted out")
            }
            (Some(ClockName::Counted), _) => Ok((false, "only they count instructions".to_owned())),
            _ => self.given(&host_lacks()),
        }
    }

    fn given(self, lacks: &[String]) -> Result<(bool, String)> {
        let asked = || "asked for by --on".to_owned();
        Ok(match (self, lacks.is_empty()) {
            (Self::Auto, true) => (true, "it has root's rights, tracefs and vhost-net".to_owned()),
            (Self::Auto, false) => (false, format!("on this host {}", lacks.join("; "))),
            (Self::Host, true) => (true, asked()),
            (Self::Host, false) => bail!("this host cannot measure: {}", lacks.join("; ")),
            (Self::Vm, _) => (false, asked()),
        })
    }
}

/// What keeps this host from measuring.
pub fn host_lacks() -> Vec<String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let tracefs = mounts.lines().any(|line| line.contains(" - tracefs "));
    // The node may be there without the module, and then its functions are not.
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

#[cfg(test)]
mod tests {
    use super::{ClockName, Place};

    #[test]
    fn a_host_that_lacks_something_measures_only_in_vms() {
        let lacks = ["tracefs is not mounted".to_owned()];
        assert!(Place::Auto.given(&[]).unwrap().0);
        assert!(Place::Host.given(&[]).unwrap().0);
        assert!(!Place::Vm.given(&[]).unwrap().0);
        let (here, why) = Place::Auto.given(&lacks).unwrap();
        assert!(!here && why.contains("tracefs"), "{why}");
        assert!(Place::Host.given(&lacks).is_err());
        assert!(!Place::Vm.given(&lacks).unwrap().0);
    }

    #[test]
    fn only_vms_count_instructions() {
        assert!(!Place::Auto.decide(Some(ClockName::Counted)).unwrap().0);
        assert!(Place::Host.decide(Some(ClockName::Counted)).is_err());
    }
}
