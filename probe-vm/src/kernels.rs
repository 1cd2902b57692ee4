//! Stock Debian kernels for the guests: found in the package lists and unpacked, not installed.
//!
//! A series (`6.12`) stands for its newest build, since Debian removes old builds from the archive.
//! Unpacked kernels stay in the folder of [`store`] and are reused without network.

use crate::Architecture;
use crate::apt::{self, Archive};
use crate::install::{self, Installer, Need};
use crate::store;
use crate::tell::tell;
use anyhow::{Context, Result, anyhow};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A series of kernels that is tested.
#[derive(Debug)]
pub struct KernelSeries {
    /// As in a version: `6.12`.
    pub name: &'static str,
    /// The Debian suite that has its newest build: long-term kernels come through the security
    /// archive, later ones through backports.
    suite: &'static str,
    /// Whether VMs boot it by default; true for exactly one.
    default: bool,
    /// Whether the default lane runs all tests on it; true for exactly one.
    pub whole: bool,
}

/// All of them, oldest first. A new series is a row here.
pub const SERIES: [KernelSeries; 3] = [
    KernelSeries { name: "6.1", suite: "bookworm-security", default: false, whole: false },
    KernelSeries { name: "6.12", suite: "trixie-security", default: true, whole: true },
    KernelSeries { name: "7.3", suite: "trixie-backports", default: false, whole: false },
];

/// The series that VMs boot by default.
pub const DEFAULT: &str = {
    let mut row = 0;
    while !SERIES[row].default {
        row += 1;
    }
    SERIES[row].name
};

/// Computes the dependencies of modules here, and loads modules in guests that have this machine's
/// root.
pub const KMOD: Need = Need {
    package: "kmod",
    why: "to compute the dependencies of the guests' kernel modules, and to load them",
    at_least: None,
    present: || install::program("depmod").is_some() && install::program("modprobe").is_some(),
};

const KEYS: Need = Need {
    package: "debian-archive-keyring",
    why: "to verify the kernels of Debian 13",
    at_least: Some("2023.3+deb12u2"),
    present: || install::file("/usr/share/keyrings/debian-archive-trixie-stable.gpg"),
};

/// One unpacked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub version: String,
    /// The bootable image.
    pub image: PathBuf,
    /// Its `/lib/modules/VERSION`, with computed dependencies.
    pub modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of `series` (`6.1`), fetched when it is first used.
    pub fn get(series: &str, install: &Installer) -> Result<Self> {
        let store = store::folder("kernels")?;
        // If two harnesses want the same kernel, the second waits and finds it.
        let lock = File::create(store.join("lock"))?;
        lock.lock()?;
        let current = store.join(series);
        if !current.exists() {
            install.may_fetch(&format!("a kernel of series {series}"))?;
            fetch(series, &store, install)
                .with_context(|| format!("cannot get a kernel of series {series}"))?;
        }
        Self::open(&fs::canonicalize(&current)?)
    }

    fn open(tree: &Path) -> Result<Self> {
        let version =
            tree.file_name().and_then(|n| n.to_str()).context("kernel tree has no name")?;
        let modules = tree.join("lib/modules").join(version);
        let places = [tree.join(format!("boot/vmlinuz-{version}")), modules.join("vmlinuz")];
        let image = places
            .into_iter()
            .find(|place| place.exists())
            .ok_or_else(|| anyhow!("no kernel image in {}; remove that folder", tree.display()))?;
        Ok(Self { version: version.to_owned(), image, modules })
    }
}

fn fetch(series: &str, store: &Path, install: &Installer) -> Result<()> {
    let Architecture { debian, .. } = Architecture::current()?;
    apt::codename().with_context(|| {
        format!("unpack one by hand into {}/VERSION and link {series} to it", store.display())
    })?;
    install.ensure(&[KMOD, KEYS])?;
    let archive = Archive::new("kernels", &SERIES.map(|row| row.suite.to_owned()))?;
    tell(format_args!("looking for the newest Linux {series} of Debian"));
    archive.update()?;
    let version = newest(&archive, series, debian)?;
    let tree = store.join(&version);
    if !tree.exists() {
        unpack(&archive, &version, &tree)?;
    }
    let link = store.join(series);
    // A dangling link remains if a tree was removed by hand.
    let _ = fs::remove_file(&link);
    symlink(&version, link)?;
    Ok(())
}

/// The version of the newest plain build (not cloud, not real-time) of a series.
fn newest(archive: &Archive, series: &str, architecture: &str) -> Result<String> {
    let pattern = format!("^linux-image-{}\\.", series.replace('.', "\\."));
    let out = archive.tool("apt-cache").args(["search", "--names-only", &pattern]).output()?;
    let text = String::from_utf8(out.stdout).context("apt-cache search is not UTF-8")?;
    text.lines()
        .filter_map(|line| line.split(' ').next()?.strip_prefix("linux-image-"))
        .filter(|version| is_plain(version, architecture))
        .max_by_key(|version| numbers(version))
        .map(str::to_owned)
        .ok_or_else(|| {
            anyhow!(
                "Debian's archive has no Linux {series} (looked in {})",
                SERIES.map(|row| row.suite).join(", ")
            )
        })
}

/// `6.1.0-56-amd64` and `6.12.117+deb13-amd64`, but not `…-cloud-amd64`, `…-rt-amd64`,
/// `…-amd64-dbg`.
fn is_plain(version: &str, architecture: &str) -> bool {
    let build = version.strip_suffix(architecture).and_then(|rest| rest.strip_suffix('-'));
    build.is_some_and(|build| {
        build.split('-').skip(1).all(|part| part.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The numbers in a version, in order, by which Debian's kernel builds are sorted.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// Downloads and unpacks a build; the tree appears at `tree` only when it is complete.
fn unpack(archive: &Archive, version: &str, tree: &Path) -> Result<()> {
    let part = tree.with_file_name(format!("{version}.part"));
    let _ = fs::remove_dir_all(&part);
    archive.unpack(&packages(archive, version)?, &part)?;
    if !part.join("lib").exists() {
        symlink("usr/lib", part.join("lib"))?;
    }
    let depmod = install::program("depmod").context("depmod is missing (package kmod)")?;
    apt::run(Command::new(depmod).arg("-b").arg(&part).arg(version))?;
    fs::rename(&part, tree).with_context(|| format!("cannot create {}", tree.display()))
}

/// The packages that hold the image, the modules and the lists. Newer kernels split them off and
/// leave an empty linux-image that depends on them.
fn packages(archive: &Archive, version: &str) -> Result<Vec<String>> {
    let image = format!("linux-image-{version}");
    let out = archive.tool("apt-cache").args(["show", "--no-all-versions", &image]).output()?;
    let text = String::from_utf8(out.stdout).context("apt-cache show is not UTF-8")?;
    let depends = text.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let split: Vec<String> = depends
        .split(", ")
        .filter_map(|d| d.split(' ').next())
        .filter(|d| d.ends_with(version))
        .map(str::to_owned)
        .collect();
    Ok(if split.is_empty() { vec![image] } else { split })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_series_is_the_default_and_one_is_run_whole() {
        let flags: [fn(&KernelSeries) -> bool; 2] =
            [|series| series.default, |series| series.whole];
        assert_eq!(flags.map(|flag| SERIES.iter().filter(|row| flag(row)).count()), [1, 1]);
    }

    #[test]
    fn plain_builds_are_told_from_variants() {
        assert!(is_plain("6.1.0-56-amd64", "amd64"));
        assert!(is_plain("6.12.115+deb13.1-amd64", "amd64"));
        for variant in ["6.1.0-56-cloud-amd64", "6.12.9+deb13-rt-amd64", "7.3.4+deb13-amd64-dbg"] {
            assert!(!is_plain(variant, "amd64"), "{variant}");
        }
    }

    #[test]
    fn builds_are_ordered_by_number_not_by_text() {
        let mut builds = ["6.12.117+deb13", "6.12.90+deb13.1", "6.12.90+deb13", "6.12.117+deb12"];
        builds.sort_by_key(|b| numbers(b));
        assert_eq!(
            builds,
            ["6.12.90+deb13", "6.12.90+deb13.1", "6.12.117+deb12", "6.12.117+deb13"]
        );
    }
}
