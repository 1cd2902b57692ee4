//! `cargo xtask ebpf`: builds the kernel programs, or proves the committed object.

use crate::install::Installer;
use anyhow::{Result, bail};

/// Rebuilds the object from source; with `check` only compares it with the committed one.
///
/// # Errors
/// Always, until the kernel programs are here.
pub(crate) fn run(_check: bool, _install: &Installer) -> Result<()> {
    bail!("there are no kernel programs in probe-ebpf/ yet")
}
