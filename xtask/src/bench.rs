//! `cargo xtask bench`: the criterion benchmarks, which need neither root nor a VM.

use crate::cargo;
use anyhow::Result;
use std::ffi::OsString;

/// Run the benchmarks of decoders, ring driver and analysis on this host.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for criterion: names to choose by, --save-baseline NAME, …
    #[arg(last = true)]
    rest: Vec<OsString>,
}

impl Args {
    /// Runs `cargo bench` for the package of benchmarks.
    ///
    /// # Errors
    /// When they do not build or fail.
    pub(crate) fn run(self) -> Result<()> {
        let package = ["bench", "--package", "tracetoll-benches", "--"];
        cargo::run(cargo::cargo(&package).args(self.rest))
    }
}
