//! What executes a guest's instructions: the processor itself, through KVM, or QEMU's emulation of
//! one (TCG).
//!
//! KVM runs in hardware time. `/dev/kvm` does not prove that KVM boots the kernel at hand, so it is
//! tried. No machine was available on which KVM works, so it is untested, and this module only sets
//! QEMU's two flags.

use super::{Boot, Clock, Ending, Machine, Tools};
use crate::interrupt;
use crate::protocol::{Accel, ClockName};
use crate::tell::tell;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::fs::{self, File};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `--accel`, for the commands that boot guests.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct AccelArg {
    /// What runs the instructions of guests whose clock is real time; guests that count
    /// instructions are always emulated
    #[arg(long, default_value = "auto")]
    pub accel: Accel,
}

/// Which kernels KVM boots here, each tried once; the error says why not.
#[derive(Debug, Default)]
pub(crate) struct Tried(Mutex<HashMap<String, std::result::Result<(), String>>>);

/// Time limit for KVM to boot a kernel: if another hypervisor emulates a processor's ring 0, TCG is
/// faster.
const BOOTS_WITHIN: Duration = Duration::from_secs(20);

impl Machine {
    /// Whether KVM runs this machine; prints it once per kernel.
    pub(crate) fn takes_kvm(&self, tools: &Tools) -> Result<bool> {
        let asked = tools.accel();
        // Only TCG counts instructions, and VMs in VMs need the same processor everywhere.
        if asked == Accel::Tcg || self.clock != Clock::Wall || self.nested {
            return Ok(false);
        }
        let version = &self.kernel.version;
        let mut tried = tools.tried().0.lock().unwrap_or_else(PoisonError::into_inner);
        if !tried.contains_key(version) {
            let boots = self.try_kvm(tools);
            if interrupt::requested() {
                bail!("interrupted");
            }
            match &boots {
                Ok(()) => tell(format_args!("guests with Linux {version} run by KVM")),
                Err(why) => {
                    tell(format_args!("guests with Linux {version} are emulated (TCG): KVM {why}"));
                }
            }
            tried.insert(version.clone(), boots);
        }
        match &tried[version] {
            Ok(()) => Ok(true),
            Err(why) if asked == Accel::Kvm => bail!("--accel kvm: KVM {why}"),
            Err(_) => Ok(false),
        }
    }

    /// Boots this machine's kernel with KVM, for a command that does nothing.
    fn try_kvm(&self, tools: &Tools) -> std::result::Result<(), String> {
        File::options()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .map_err(|e| format!("cannot be used: /dev/kvm: {e}"))?;
        let nothing = Machine {
            boot: Boot::Initramfs,
            live: false,
            timeout: Some(BOOTS_WITHIN),
            ..Machine::new(self.kernel.clone(), vec!["true".into()])
        };
        let outcome = nothing.boot(tools, true).map_err(|e| format!("cannot be tried: {e:#}"))?;
        let said = fs::read_to_string(outcome.dir.join("qemu.log")).unwrap_or_default();
        match (outcome.ending, said.lines().find(|line| !line.contains("warning:"))) {
            (Ending::Exit(0), _) => Ok(()),
            (Ending::TimedOut, _) => Err(format!("does not boot it within {BOOTS_WITHIN:?}")),
            (_, Some(why)) => Err(format!("does not boot it: {why}")),
            (ending, None) => Err(format!("does not boot it: {ending:?}")),
        }
    }
}

impl AccelArg {
    /// Checks that guests that count instructions can have what was asked for.
    pub fn check(self, clock: ClockName) -> Result<()> {
        let kvm = self.accel == Accel::Kvm && clock == ClockName::Counted;
        (!kvm).then_some(()).context("--accel kvm needs --clock wall: KVM counts no instructions")
    }
}
