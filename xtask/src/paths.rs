//! Where xtask finds the project and keeps what it makes.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ stands in the workspace")
}

/// `target/xtask/NAME`, created: everything xtask keeps is below it, so `cargo clean` removes it.
pub(crate) fn store(name: &str) -> Result<PathBuf> {
    let dir = root().join("target/xtask").join(name);
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
