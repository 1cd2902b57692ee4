//! Debian's archive, accessed with apt but without touching the user's apt configuration.
//!
//! The archive's address comes from apt's own sources; only the suite is changed. Sources, package
//! lists and downloads are private (see [`store`]), so any user can read suites that the machine
//! does not follow, and `apt-get update` elsewhere is unaffected. apt checks signatures as always.

use crate::store;
use crate::tell::tell;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The keys of all Debian releases, from package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The Debian release that this machine runs (`bookworm`), or why its packages cannot be used.
pub(crate) fn codename() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|v| v.trim_matches('"').to_owned())
    };
    // Testing and unstable have no VERSION_ID, and no backports.
    if field("ID=").as_deref() != Some("debian") || field("VERSION_ID=").is_none() {
        bail!("this system is not a Debian release, so no packages can be installed for it");
    }
    field("VERSION_CODENAME=").context("/etc/os-release names no VERSION_CODENAME")
}

/// A private view of some of Debian's suites.
pub(crate) struct Archive {
    dir: PathBuf,
    /// One user at a time: apt fails rather than waits if another process updates the same lists.
    _lock: File,
}

impl Archive {
    /// The machine's own release with its updates and backports.
    pub(crate) fn release() -> Result<Self> {
        let codename = codename()?;
        let suites = ["", "-updates", "-security", "-backports"].map(|s| format!("{codename}{s}"));
        Self::new("release", &suites)
    }

    /// A view named `name` of `suites` (`trixie`, `trixie-security`, …).
    pub(crate) fn new(name: &str, suites: &[String]) -> Result<Self> {
        let dir = store::folder("apt")?.join(name);
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        let own = own_suites()?;
        let mut sources = String::new();
        for suite in suites {
            let uri = address(&own, suite)
                .ok_or_else(|| anyhow!("apt's sources name no archive that could hold {suite}"))?;
            let key = if Path::new(KEYRING).exists() {
                format!("[signed-by={KEYRING}] ")
            } else {
                String::new()
            };
            sources.push_str(&format!("deb {key}{uri} {suite} main\n"));
        }
        fs::write(dir.join("sources.list"), sources)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Whether [`Archive::update`] has succeeded before.
    pub(crate) fn is_filled(&self) -> bool {
        self.dir.join("filled").exists()
    }

    /// Fetches the package lists.
    pub(crate) fn update(&self) -> Result<()> {
        let out = self.tool("apt-get").args(["-q", "update"]).output()?;
        let words = String::from_utf8_lossy(&out.stderr).into_owned();
        // apt-get update exits 0 when a list could not be fetched and an old one may be used.
        if !out.status.success() || words.contains("Failed to fetch") {
            let hint = if words.contains("NO_PUBKEY") {
                "\nthe machine lacks the keys of a newer Debian: apt-get install \
                 debian-archive-keyring"
            } else {
                ""
            };
            bail!("apt-get update of {} failed:\n{words}{hint}", self.sources().display());
        }
        fs::write(self.dir.join("filled"), "")?;
        Ok(())
    }

    /// An apt program that sees only this view.
    pub(crate) fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.options());
        command
    }

    /// Downloads packages and unpacks their files below `tree`, without installing them.
    pub(crate) fn unpack(&self, packages: &[String], tree: &Path) -> Result<()> {
        let debs = tree.join("debs");
        fs::create_dir_all(&debs)?;
        tell(format_args!("downloading {}", packages.join(" ")));
        run(self.tool("apt-get").args(["-q", "download"]).args(packages).current_dir(&debs))?;
        for deb in fs::read_dir(&debs)? {
            run(Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(tree))?;
        }
        Ok(fs::remove_dir_all(&debs)?)
    }

    /// The options that make an apt program use this view.
    pub(crate) fn options(&self) -> Vec<String> {
        let dir = self.dir.display();
        [
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".to_owned(),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "DPkg::Lock::Timeout=600".to_owned(),
            // The view may be in a folder that apt's own user cannot reach (a home folder).
            "APT::Sandbox::User=".to_owned(),
        ]
        .into_iter()
        .flat_map(|option| ["-o".to_owned(), option])
        .collect()
    }

    fn sources(&self) -> PathBuf {
        self.dir.join("sources.list")
    }
}

/// Runs a program to its end, and shows its output only if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed ({}):\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

/// (URI, suite, is Debian's) of each archive that the machine's apt follows.
fn own_suites() -> Result<Vec<(String, String, bool)>> {
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";
    let out = Command::new("apt-get")
        .args(["indextargets", "--format", format, "Created-By: Packages"])
        .output()
        .context("cannot run apt-get")?;
    let text = String::from_utf8(out.stdout).context("apt-get indextargets is not UTF-8")?;
    let rows = text.lines().filter_map(|line| {
        let [uri, release, component, origin] = line.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        // Before the first update apt knows no origin, and prints the field's name instead.
        let debian = origin == "Debian" || origin.starts_with("$(");
        (component == "main" && !uri.starts_with("cdrom:"))
            .then(|| (uri.to_owned(), release.to_owned(), debian))
    });
    Ok(rows.collect())
}

/// The address of the archive that holds `suite`: security has its own.
fn address(own: &[(String, String, bool)], suite: &str) -> Option<String> {
    let security = suite.ends_with("-security");
    own.iter()
        .filter(|(_, release, debian)| *debian && release.ends_with("-security") == security)
        .map(|(uri, ..)| uri.clone())
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_looked_for_in_debians_own_archive_of_its_kind() {
        let row = |uri: &str, suite: &str, debian| (uri.to_owned(), suite.to_owned(), debian);
        let own = [
            row("http://vendor/", "bookworm", false),
            row("http://security/", "bookworm-security", true),
            row("http://main/", "bookworm", true),
        ];
        assert_eq!(address(&own, "trixie-backports").as_deref(), Some("http://main/"));
        assert_eq!(address(&own, "trixie-security").as_deref(), Some("http://security/"));
        assert_eq!(address(&own[..1], "trixie"), None);
    }
}
