//! Folders for temporary files, which a killed run leaves behind.
//!
//! If the temporary folder is shared (NFS, 9p), other kernels may see these folders. A lock of this
//! kernel means nothing to them, and neither NFS nor QEMU's 9p passes on a lock on a folder. So the
//! name says on which boot of which kernel it was created: `tracetoll-TAG-NAME-BOOT-RANDOM`. Some
//! runtimes give each container its own boot id; then folders from other containers are left.

use std::{fs, os::unix::fs::MetadataExt as _};

use probe_core::error::{Error, Result};
use tempfile::TempDir;

use super::owner::{Fate, Judge, Owner};
use crate::kernel::swept::Swept;

/// Identifies a kernel's boot (Documentation/admin-guide/sysctl/kernel.rst).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How many characters of it a name has: enough for any number of machines that share a folder.
const BOOT_LENGTH: usize = 12;

/// Creates one in the temporary folder.
///
/// # Errors
/// It cannot be created.
pub(super) fn create(owner: &Owner, name: &str) -> Result<TempDir> {
    let prefix = format!("{}-{}-", owner.object(name), boot()?);
    let made = tempfile::Builder::new().prefix(&prefix).tempdir();
    made.map_err(|e| {
        let hint = "Name a folder with room for it in TMPDIR, where you may write";
        Error::file("create", std::env::temp_dir(), e).with_hint(hint)
    })
}

/// Removes the folders of dead owners, and says which.
pub fn sweep(judge: &Judge, swept: &mut Swept) {
    let temporary = std::env::temp_dir();
    let listed = fs::read_dir(&temporary).map_err(|e| Error::file("read", &temporary, e));
    let (entries, boot) = match (listed, boot()) {
        (Ok(entries), Ok(boot)) => (entries, boot),
        (Err(error), _) | (_, Err(error)) => return swept.failed(error),
    };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        // Only our own: anybody may create a folder of that name there.
        let own = entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == 0);
        let Some(fate) = own.then(|| fate(judge, &name, &boot)).flatten() else { continue };
        swept.settle(format!("folder {}", path.display()), fate, || {
            fs::remove_dir_all(&path).map_err(|e| Error::file("remove", &path, e))
        });
    }
}

/// What to do with a folder of this name.
fn fate(judge: &Judge, name: &str, boot: &str) -> Option<Fate> {
    let fate = judge.fate(name).filter(|_| !is_old(name) || is_of_0_1(name))?;
    if fate != Fate::Dead || is_old(name) || made_on(name) == Some(boot) {
        return Some(fate);
    }
    let why = "another kernel created it, or this one before a reboot. If nobody who shares the \
               folder is measuring, remove it with rm -r";
    Some(Fate::Left(why.into()))
}

fn is_old(name: &str) -> bool {
    matches!(super::tag::mark_of(name), Some(super::tag::Mark::Old(_)))
}

/// Version 0.1 created one kind of folder, `tracetoll-PID-external-RANDOM`, with six random letters
/// and digits (tempfile). Users have results in folders whose names begin similarly.
fn is_of_0_1(name: &str) -> bool {
    let [_, _, kind, random] = name.split('-').collect::<Vec<_>>()[..] else { return false };
    kind == "external" && random.len() == 6 && random.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The boot in a folder's name.
fn made_on(name: &str) -> Option<&str> {
    name.rsplit('-').nth(1)
}

fn boot() -> Result<String> {
    let text = fs::read_to_string(BOOT_ID).map_err(|e| Error::file("read", BOOT_ID, e))?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(BOOT_LENGTH).collect();
    match digits.len() {
        BOOT_LENGTH => Ok(digits),
        _ => Err(Error::malformed(BOOT_ID, format!("`{}` is not an id", text.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::tag::Tag;

    #[test]
    fn only_a_folder_of_this_boot_is_removed() {
        let judge = Judge::of_dead(Tag::parse("k3f9x2b").unwrap());
        let of = |name: &str| fate(&judge, name, "0123456789ab");
        assert_eq!(of("tracetoll-k3f9x2b-external-0123456789ab-x1Y2z3"), Some(Fate::Dead));
        for left in ["tracetoll-k3f9x2b-external-ffffffffffff-x1Y2z3", "tracetoll-k3f9x2b-external"]
        {
            assert!(matches!(of(left), Some(Fate::Left(_))), "{left}");
        }
        assert_eq!(of("tracetoll-a0a0a0a-external-0123456789ab-x1Y2z3"), None);
        assert!(is_of_0_1("tracetoll-41-external-x1Y2z3"));
        for results in
            ["tracetoll-2026-11-30", "tracetoll-612-base", "tracetoll-9-external-night2x"]
        {
            assert!(!is_of_0_1(results), "{results}");
        }
        assert_eq!(boot().unwrap().len(), BOOT_LENGTH);
    }
}
