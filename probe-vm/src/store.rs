//! Where kernels, images and the files of machines are kept.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder with this name, created if needed. In a checkout it is below `target/xtask`, so that
/// `cargo clean` removes it; for an installed program it is in the user's cache.
pub fn folder(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let dir = root(&program, |name| std::env::var_os(name))?.join(name);
    std::fs::create_dir_all(&dir).with_context(|| {
        format!("cannot create {} (XDG_CACHE_HOME or HOME says where)", dir.display())
    })?;
    Ok(dir)
}

fn root(program: &Path, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    // Relative to the package that cargo runs, not to the current folder: target may be elsewhere.
    let package =
        variable("CARGO_MANIFEST_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let mut above = program.ancestors().chain(package.iter().flat_map(|path| path.ancestors()));
    if let Some(checkout) = above.find(|dir| dir.join("probe-vm/Cargo.toml").is_file()) {
        return Ok(checkout.join("target/xtask"));
    }
    // The XDG Base Directory Specification says to ignore a relative path.
    let named = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let own = || variable("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = named.or_else(own).context("neither HOME nor XDG_CACHE_HOME is set")?;
    Ok(cache.join("tracetoll"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_keeps_its_own_and_an_installed_program_uses_the_cache() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let installed = Path::new("/usr/bin/tracetoll");
        let root = |program: &Path, set: &[(&str, &str)]| {
            let value =
                |name: &str| set.iter().find(|(one, _)| *one == name).map(|one| one.1.into());
            root(program, value).ok()
        };
        let own = Some(checkout.join("target/xtask"));
        assert_eq!(root(&checkout.join("target/release/tracetoll"), &[]), own);
        assert_eq!(root(installed, &[("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"))]), own);
        let home = ("HOME", "/home/me");
        assert_eq!(root(installed, &[home]), Some("/home/me/.cache/tracetoll".into()));
        assert_eq!(
            root(installed, &[home, ("XDG_CACHE_HOME", "/var/c")]),
            Some("/var/c/tracetoll".into())
        );
        let relative = [home, ("XDG_CACHE_HOME", "c")];
        assert_eq!(root(installed, &relative), Some("/home/me/.cache/tracetoll".into()));
        assert_eq!(root(installed, &[]), None);
    }
}
