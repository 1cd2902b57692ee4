//! What a job needs from the system, and how it is installed.
//!
//! A job lists its [`Need`]s. Those that are missing are printed with their reason and installed
//! with apt, from the machine's own Debian release or, if that is too old, from its backports.

use crate::apt::{self, Archive};
use crate::tell::tell;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders of system programs, which a user's PATH may lack.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Which flags allow installing.
const ASK: &str = "--install or --on vm installs and fetches what is missing";

/// A package that a job needs.
pub struct Need {
    /// The package's name in Debian.
    pub package: &'static str,
    /// What it is for: completes the sentence "needed …".
    pub why: &'static str,
    /// The oldest version that works, as dpkg compares them. If the release itself has an older
    /// one, the version in its backports is installed.
    pub at_least: Option<&'static str>,
    /// Whether the machine has what the package provides, even if it did not come from the package.
    pub present: fn() -> bool,
}

/// Installs what is missing, or prints how to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installer {
    /// Installs packages, and fetches kernels.
    All,
    /// Fetches kernels, but only names missing packages (`--no-install`).
    Kernels,
    /// Only names what is missing: the user has asked for nothing more.
    Nothing,
}

impl Installer {
    /// Whether it may install packages.
    pub fn may(&self) -> bool {
        *self == Self::All
    }

    /// Checks that it may fetch what is missing into this program's own folders.
    pub(crate) fn may_fetch(&self, what: &str) -> Result<()> {
        if *self == Self::Nothing {
            bail!("{what} has not been fetched from Debian's archive yet; {ASK}");
        }
        Ok(())
    }

    /// Why nothing is installed.
    fn refusal(&self) -> &'static str {
        if *self == Self::Nothing { ASK } else { "stopped because of --no-install" }
    }

    /// Says what is about to be built for our own use, and why.
    pub fn announce(&self, what: &str, why: &str, command: &Command) -> Result<()> {
        tell(format_args!("missing on this machine:\n  {what}: needed {why}"));
        if !self.may() {
            let settings = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
            let settings = settings.map(|(name, value)| {
                format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
            });
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let words = words.map(|word| word.to_string_lossy().into_owned());
            let line = settings.chain(words).collect::<Vec<_>>().join(" ");
            bail!("{}; to install, run:\n  {line}", self.refusal());
        }
        Ok(())
    }

    /// Makes sure that every need is met; uses no network if all are.
    pub fn ensure(&self, needs: &[Need]) -> Result<()> {
        let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        tell(format_args!("missing on this machine:"));
        for need in &missing {
            let version = need.at_least.map(|v| format!(" (>= {v})")).unwrap_or_default();
            tell(format_args!("  {}{version}: needed {}", need.package, need.why));
        }
        let codename =
            apt::codename().context("install the above with your system's package manager")?;
        let archive = Archive::release()?;
        if !self.may() {
            explain(&archive, &missing, &codename)?;
            let names: Vec<_> = missing.iter().map(|need| need.package).collect();
            bail!("{} missing; {}", names.join(", "), self.refusal());
        }
        archive.update()?;
        for (suite, packages) in by_suite(&archive, &missing, &codename)? {
            install(&archive, suite.as_deref(), &packages)?;
        }
        match missing.iter().find(|need| !(need.present)()) {
            Some(need) => bail!(
                "package {} was installed, but what it should provide is still missing",
                need.package
            ),
            None => Ok(()),
        }
    }
}

/// The executable with this name on PATH or among the system's programs, or at this path.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(name, std::env::split_paths(&path).chain(SYSTEM.map(PathBuf::from)))
}

fn find_in(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_executable(path));
    }
    folders.map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Prints the commands that would install what is missing, and fails.
fn explain(archive: &Archive, missing: &[&Need], codename: &str) -> Result<()> {
    let options = archive.options().join(" ");
    tell(format_args!("to install, run as root:\n  apt-get {options} update"));
    let suites = match archive.is_filled() {
        true => by_suite(archive, missing, codename)?,
        // Without package lists the versions are unknown: a need with a version likely needs
        // backports.
        false => group(
            missing.iter().map(|need| (need.at_least.map(|_| backports(codename)), need.package)),
        ),
    };
    for (suite, packages) in suites {
        let packages = packages.join(" ");
        let suite = suite.map(|s| format!(" -t {s}")).unwrap_or_default();
        tell(format_args!("  apt-get {options} install --no-install-recommends{suite} {packages}"));
    }
    Ok(())
}

/// Packages by the suite that apt must prefer; `None` if apt's own order is right (release and
/// security updates together).
type BySuite = Vec<(Option<String>, Vec<&'static str>)>;

fn backports(codename: &str) -> String {
    format!("{codename}-backports")
}

fn group(pairs: impl Iterator<Item = (Option<String>, &'static str)>) -> BySuite {
    let mut plan: BySuite = Vec::new();
    for (suite, package) in pairs {
        match plan.iter_mut().find(|(s, _)| *s == suite) {
            Some((_, packages)) => packages.push(package),
            None => plan.push((suite, vec![package])),
        }
    }
    plan
}

/// The release itself if its version is new enough, otherwise its backports.
fn by_suite(archive: &Archive, missing: &[&Need], codename: &str) -> Result<BySuite> {
    let mut pairs = Vec::new();
    for need in missing {
        let candidate = candidate(archive, need.package)?;
        let old = match (need.at_least, &candidate) {
            (Some(least), Some(version)) => !version_at_least(version, least)?,
            (_, None) => true,
            (None, Some(_)) => false,
        };
        pairs.push((old.then(|| backports(codename)), need.package));
    }
    Ok(group(pairs.into_iter()))
}

/// The version that apt would install by default, without backports.
fn candidate(archive: &Archive, package: &str) -> Result<Option<String>> {
    let out = archive.tool("apt-cache").args(["policy", package]).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "));
    Ok(version.filter(|v| *v != "(none)").map(str::to_owned))
}

/// Whether a version is new enough, in Debian's own order.
pub fn version_at_least(version: &str, least: &str) -> Result<bool> {
    let status =
        Command::new("dpkg").args(["--compare-versions", version, "ge", least]).status()?;
    Ok(status.success())
}

fn install(archive: &Archive, suite: Option<&str>, packages: &[&str]) -> Result<()> {
    let mut command = Command::new("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(archive.options());
    // Never remove an installed package: rustc-web, for example, would replace Debian's rustc.
    command.args(["-y", "-q", "--no-install-recommends", "--no-remove"]);
    if let Some(suite) = suite {
        command.args(["-t", suite]);
    }
    let mut command = as_root(command.arg("install").args(packages))?;
    tell(format_args!(
        "installing from {}: {}",
        suite.unwrap_or("the release"),
        packages.join(" ")
    ));
    let out = command.output().context("cannot run apt-get")?;
    if !out.status.success() {
        let words = String::from_utf8_lossy(&out.stderr);
        bail!("apt-get install {} failed ({}):\n{words}", packages.join(" "), out.status);
    }
    Ok(())
}

/// The same command as root, through sudo if the user is not root.
fn as_root(command: &Command) -> Result<Command> {
    use std::os::unix::fs::MetadataExt;
    let words = || std::iter::once(command.get_program()).chain(command.get_args());
    // The owner of /proc/self is the effective user.
    let root = fs::metadata("/proc/self")?.uid() == 0;
    if !root && program("sudo").is_none() {
        let line = words().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        bail!("not root, and sudo is missing; run as root:\n  {line}");
    }
    let mut elevated = Command::new(if root { "env" } else { "sudo" });
    elevated.args(words());
    Ok(elevated)
}

/// Whether a package's file exists.
pub fn file(path: &str) -> bool {
    Path::new(path).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_an_executable_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let find = || find_in("tool", [folder.path().to_owned()].into_iter());
        assert_eq!(find(), Some(path.clone()));
        assert_eq!(find_in(path.to_str().unwrap(), std::iter::empty()), Some(path.clone()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find(), None);
        assert!(program("sh").is_some() && program("no-such-program").is_none());
    }
}
