//! tracefs: where it is mounted, and private instances and probe events that are removed with their
//! owner.
//!
//! The top-level trace is never changed: all tracing uses an instance with the run's tag.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod format;
mod instance;
mod tracer;

use format::Format;
pub use instance::{CpuStats, Instance};

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use probe_core::{
    error::{Error, Result},
    model::target::Tracepoint,
};
use procfs::{FromRead as _, process::MountInfos};
use rustix::fs::{Access, access};

/// Where the kernel lists this process's mounts.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The definitions of the kernel's dynamic events, one per line. It is appended to, since opening
/// it otherwise removes everybody's events.
pub const DYNAMIC_EVENTS: &str = "dynamic_events";

/// What to type if tracefs is not mounted.
const MOUNT: &str = "Mount it: mount -t tracefs nodev /sys/kernel/tracing";

/// A mounted tracefs.
#[derive(Debug, Clone)]
pub struct Tracefs {
    root: PathBuf,
}

impl Tracefs {
    /// Finds where tracefs is mounted.
    ///
    /// # Errors
    /// It is not mounted, or cannot be accessed (not root, or a locked-down kernel).
    pub fn find() -> Result<Self> {
        let text = fs::read(MOUNTINFO).map_err(|e| Error::file("read", MOUNTINFO, e))?;
        let root = mount_point(&text, "tracefs")?
            .ok_or_else(|| Error::unsupported("tracefs", "it is not mounted", MOUNT))?;
        let tracefs = Self::at(root);
        tracefs.read("available_tracers")?;
        Ok(tracefs)
    }

    /// The tracefs at `root`, not checked.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Contents of one of its files.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        read(&self.path(file))
    }

    /// Contents of one of its files; `None` if this kernel has no such file.
    ///
    /// # Errors
    /// The file exists but cannot be read.
    pub fn read_if_there(&self, file: &str) -> Result<Option<String>> {
        let path = self.path(file);
        if fs::exists(&path).map_err(|e| refused("look for", &path, e))? {
            read(&path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The number that identifies a tracepoint for perf_event_open(2), which is also the
    /// `common_type` of its events.
    ///
    /// # Errors
    /// There is no such tracepoint, or its file cannot be read.
    pub fn tracepoint_id(&self, tracepoint: &Tracepoint) -> Result<u64> {
        let file = format!("events/{}/{}/id", tracepoint.group, tracepoint.name);
        let text = self.read_if_there(&file)?.ok_or_else(|| {
            Error::unsupported(
                format!("tracepoint {tracepoint}"),
                "this kernel has none with this name, or its module is not loaded",
                "Choose one of available_events in tracefs",
            )
        })?;
        text.trim().parse().map_err(|_| {
            Error::malformed(self.path(&file).display().to_string(), format!("`{}`", text.trim()))
        })
    }

    /// The description of the binary events of `group/name`.
    ///
    /// # Errors
    /// There is no such event, or its description cannot be read.
    pub fn format(&self, group: &str, name: &str) -> Result<Format> {
        let file = format!("events/{group}/{name}/format");
        let malformed = |e: format::FormatError| {
            Error::malformed(self.path(&file).display().to_string(), e.to_string())
        };
        Format::parse(&self.read(&file)?).map_err(malformed)
    }

    /// Checks whether private instances could be created; creates none.
    ///
    /// # Errors
    /// They could not: not root, or mounted read-only, as in a container.
    pub fn allows_instances(&self) -> Result<()> {
        let folder = self.path("instances");
        access(&folder, Access::WRITE_OK).map_err(|e| refused("write", &folder, e.into()))
    }

    /// Creates a private instance, not yet recording; `name` comes from [`Run::object`].
    ///
    /// # Errors
    /// The kernel refused; nothing is left behind.
    ///
    /// [`Run::object`]: super::run::Run::object
    pub fn create_instance(&self, name: &str) -> Result<Instance> {
        Instance::create(self.path("instances").join(name))
    }

    /// Names of all instances, whoever created them.
    ///
    /// # Errors
    /// They cannot be listed.
    pub fn instances(&self) -> Result<Vec<String>> {
        let folder = self.path("instances");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(refused("read", &folder, e)),
        };
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    /// Removes an instance that its owner left, after turning off its tracing.
    ///
    /// # Errors
    /// The first refusal, for example because a process uses a file of the instance; tracing is
    /// off all the same.
    pub fn remove_instance(&self, name: &str) -> Result<()> {
        let folder = self.path("instances").join(name);
        // An open file in an instance prevents its removal, but not this.
        let quiet = tracer::quiet(&folder);
        fs::remove_dir(&folder).map_err(|e| refused("remove", &folder, e)).and(quiet)
    }

    /// Adds the dynamic event that `definition` describes.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn add_event(&self, definition: &str) -> Result<()> {
        write(&self.path(DYNAMIC_EVENTS), &format!("{definition}\n"), true)
    }

    /// Removes one dynamic event, after disabling it.
    ///
    /// # Errors
    /// The kernel refused, for example because another process uses the event.
    pub fn remove_event(&self, group: &str, event: &str) -> Result<()> {
        write(&self.path(&format!("events/{group}/{event}/enable")), "0", false)?;
        self.add_event(&format!("-:{group}/{event}"))
    }
}

/// First mount point of a file system of this type in `mountinfo`.
fn mount_point(mountinfo: &[u8], fs_type: &str) -> Result<Option<PathBuf>> {
    let mounts =
        MountInfos::from_read(mountinfo).map_err(|e| Error::malformed(MOUNTINFO, e.to_string()))?;
    let mount = mounts.0.into_iter().find(|mount| mount.fs_type == fs_type);
    Ok(mount.map(|mount| unescape(mount.mount_point.as_os_str().as_bytes())))
}

/// Reverses the octal escapes of white space and backslash (fs/seq_file.c, `mangle_path`).
fn unescape(mangled: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(mangled.len());
    let mut rest = mangled;
    while let Some((&byte, behind)) = rest.split_first() {
        let escaped = behind.split_at_checked(3).and_then(|(digits, behind)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 8).ok()?, behind))
        });
        match escaped {
            Some((escaped, behind)) if byte == b'\\' => {
                path.push(escaped);
                rest = behind;
            }
            _ => {
                path.push(byte);
                rest = behind;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

/// Where a pseudo file system of this type is mounted, if it is.
///
/// # Errors
/// The list of mounts cannot be read.
pub fn mounted(fs_type: &str) -> Result<Option<PathBuf>> {
    let text = fs::read(MOUNTINFO).map_err(|e| Error::file("read", MOUNTINFO, e))?;
    mount_point(&text, fs_type)
}

/// Reads a file in large pieces: `header_page` and `header_event` return as much as one read can
/// take, and then report the end (kernel/trace/trace_events.c, `show_header`), while
/// [`fs::read_to_string`] starts with 32 bytes.
fn read(path: &Path) -> Result<String> {
    let failed = |e| refused("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => text.extend(piece.iter().take(length)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    String::from_utf8(text)
        .map_err(|e| Error::malformed(path.display().to_string(), format!("not text: {e}")))
}

fn write(path: &Path, value: &str, append: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    let options = if append { options.append(true) } else { options.write(true).truncate(true) };
    let mut file = options.open(path).map_err(|e| refused("open", path, e))?;
    file.write_all(value.as_bytes()).map_err(|e| refused("write", path, e))
}

/// A file error with a hint that fits tracefs: root gets EPERM only from a locked-down or
/// restricted kernel.
fn refused(op: &'static str, path: &Path, source: io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::file(op, path, source);
    match errno {
        Some(libc::EPERM) if rustix::process::geteuid().is_root() => error.with_hint(
            "This kernel restricts tracing even for root: see /sys/kernel/security/lockdown, \
             Secure Boot, or the container's policy",
        ),
        Some(libc::EBUSY) => error.with_hint("Another process uses it"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_point_comes_from_mountinfo() {
        let text = b"22 1 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n\
            30 22 0:12 / /mnt/odd\\040place rw shared:9 master:1 - tracefs nodev rw\n";
        let found = mount_point(text, "tracefs").unwrap();
        assert_eq!(found, Some(PathBuf::from("/mnt/odd place")));
        assert_eq!(mount_point(text, "debugfs").unwrap(), None);
    }

    #[test]
    fn an_instance_that_cannot_be_set_up_is_not_left_behind() {
        // Here `mkdir` creates no files, so the first write fails.
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("instances")).unwrap();
        let tracefs = Tracefs::at(root.path());
        let error = tracefs.create_instance("tracetoll-43-function").unwrap_err();
        assert!(error.to_string().contains("tracing_on"), "{error}");
        assert!(!tracefs.path("instances/tracetoll-43-function").exists());
    }
}
