//! `cargo xtask image`: the image that kvm guests boot.

use anyhow::Result;
use probe_vm::{Installer, image};
use std::process::ExitCode;

/// Build the image that kvm guests boot, and print its folder.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel series of the guests
    #[arg(long, default_value = image::SERIES)]
    kernel: String,
}

impl Args {
    pub(crate) fn run(&self, install: &Installer) -> Result<ExitCode> {
        println!("{}", image::ready(&self.kernel, install)?.display());
        Ok(ExitCode::SUCCESS)
    }
}
