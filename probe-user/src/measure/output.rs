//! Writes every file that a user asked for: at the place to which the path leads.
//!
//! Links are followed. A regular file is replaced completely or not at all, and keeps its mode and
//! owner. What a new file cannot replace is written in place: a device, a pipe, a file with several
//! names or with its own attributes, a bind mount, or a file in a folder that takes no new file.
//! For a regular file, its space is reserved first.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, PROC_SUPER_MAGIC},
    io::Errno,
};
use tempfile::NamedTempFile;

use probe_core::error::{Error, Result};

/// Number of links that the kernel follows in one path (include/linux/namei.h, `MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Writes a file.
///
/// # Errors
/// The system's error. If the disk is full, a regular file keeps its old content; a file that is
/// written in place keeps it only if the file system can reserve space (fallocate).
pub fn write_whole(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    write(path, content.as_ref()).map_err(|error| Error::output("write", path, error))
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let place = match fs::metadata(path) {
        // Before anything is written beside it: what is beside `.` must not be touched.
        Ok(there) if there.is_dir() => return Err(Errno::ISDIR.into()),
        Ok(there) if is(&there, io::stdout()) => return stream(io::stdout().lock(), content),
        Ok(there) if is(&there, io::stderr()) => return stream(io::stderr().lock(), content),
        Ok(there) if !there.is_file() => {
            guarded(path)?;
            return stream(OpenOptions::new().write(true).open(path)?, content);
        }
        // A dangling link has a destination too. Any other error remains.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => follow(path)?,
    };
    match place {
        // Another process has opened it and may have written: `3>file`. We must not truncate that
        // content.
        Destination::Opened => stream(OpenOptions::new().append(true).open(path)?, content),
        Destination::Named(path) => match OpenOptions::new().write(true).open(&path) {
            Ok(_) if guarded(&path).is_err() => Err(Errno::ACCESS.into()),
            Ok(file) => rewrite(&path, &file, content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path, content),
            Err(error) => Err(error),
        },
    }
}

/// Whether `stream` leads to this file. Then it is written through the stream: if opened a second
/// time, a file would be written from its beginning, over earlier output, and a socket cannot be
/// opened.
fn is(there: &fs::Metadata, stream: impl AsFd) -> bool {
    // A terminal or /dev/null is the same under any name, so the answer does not matter.
    rustix::fs::fstat(stream)
        .is_ok_and(|stream| (stream.st_dev, stream.st_ino) == (there.dev(), there.ino()))
}

/// Writes as long as somebody reads: a reader that went away (`| head`) is not an error.
fn stream(mut to: impl io::Write, content: &[u8]) -> io::Result<()> {
    match to.write_all(content).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Where a path leads.
enum Destination {
    /// A name in a folder; a file with that name may or may not exist, but it is not a link.
    Named(PathBuf),
    /// A file that a process has opened, named through procfs: `/dev/fd/3`.
    Opened,
}

/// Follows links by hand, since a link to a missing file must be followed too.
fn follow(path: &Path) -> io::Result<Destination> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => return Ok(Destination::Named(path)),
        }
        guarded(&path)?;
        let folder = folder_of(&path);
        if rustix::fs::statfs(folder)?.f_type == PROC_SUPER_MAGIC {
            return Ok(Destination::Opened);
        }
        path = folder.join(fs::read_link(&path)?);
    }
    Err(Errno::LOOP.into())
}

/// Refuses what another user put into a folder that everyone may write to: root would write where
/// that user leads it. The kernel has the same rule (`fs.protected_symlinks`, `protected_regular`,
/// `protected_fifos`; fs/namei.c), but it does not apply to links that are followed by hand, nor to
/// files that are opened without O_CREAT.
fn guarded(path: &Path) -> io::Result<()> {
    let (there, folder) = (fs::symlink_metadata(path)?, fs::metadata(folder_of(path))?);
    let us = rustix::process::geteuid().as_raw();
    match is_planted(there.uid(), (folder.mode(), folder.uid()), us) {
        true => Err(Errno::ACCESS.into()),
        false => Ok(()),
    }
}

fn is_planted(owner: u32, (mode, of_folder): (u32, u32), us: u32) -> bool {
    /// Sticky and writable for everyone: `/tmp`.
    const SHARED: u32 = 0o1002;
    mode & SHARED == SHARED && owner != us && owner != of_folder
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// For a new file; it is written in place only if the folder takes no file with another name.
fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    match beside(path) {
        Ok(new) => fill(new, content)?.persist(path).map(drop).map_err(|refused| refused.error),
        Err(error) if is_full(&error) => Err(error),
        Err(_) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path)?;
            let filled = fill_in_place(&file, content);
            if filled.is_err() {
                // A partial file is worse than none.
                let _ = fs::remove_file(path);
            }
            filled
        }
    }
}

/// Whether there was no room: then it is not written in place either, which would lose the old
/// content.
fn is_full(error: &io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG];
    full.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Replaces a regular file that has been opened for writing.
fn rewrite(path: &Path, file: &File, content: &[u8]) -> io::Result<()> {
    let there = file.metadata()?;
    if there.nlink() > 1 || has_attributes(file) {
        return fill_in_place(file, content);
    }
    let new = match beside(path).and_then(|new| alike(new, &there)) {
        Ok(new) => new,
        Err(error) if is_full(&error) => return Err(error),
        Err(_) => return fill_in_place(file, content),
    };
    // There is no room for the new content: keep the old.
    match fill(new, content)?.persist(path) {
        Ok(_) => Ok(()),
        Err(refused) if is_full(&refused.error) => Err(refused.error),
        // It is a mount point (EBUSY), it belongs to another user in a sticky folder (EPERM), or
        // the folder takes no new names.
        Err(_) => fill_in_place(file, content),
    }
}

/// A temporary file that will replace it, with the mode of a new file.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut named = tempfile::Builder::new();
    named.prefix(".tracetoll-").suffix(".unfinished");
    named.permissions(Permissions::from_mode(0o666)).tempfile_in(folder_of(path))
}

/// Copies owner and mode; the mode last, since changing the owner clears set-user-ID.
fn alike(new: NamedTempFile, there: &fs::Metadata) -> io::Result<NamedTempFile> {
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (there.uid(), there.gid()) {
        std::os::unix::fs::fchown(new.as_file(), Some(there.uid()), Some(there.gid()))?;
    }
    new.as_file().set_permissions(Permissions::from_mode(there.mode() & 0o7777))?;
    Ok(new)
}

/// Whether it has attributes that a new file would not have, for example an access list.
fn has_attributes(file: &File) -> bool {
    let mut names = [0; 4096];
    match rustix::fs::flistxattr(file, &mut names) {
        Ok(length) => are_its_own(names.get(..length).unwrap_or_default()),
        // There are more than fit. A file system without attributes reports that there are none.
        Err(error) => error == Errno::RANGE,
    }
}

/// Whether one of these names, each terminated by NUL, is an attribute that the kernel does not
/// give a new file by itself. The kernel does so with a label of SELinux (from the folder) and with
/// the sums of IMA and EVM (from the content, at close). An access list of NFSv4 or a label of
/// SMACK may be the file's own or the default of any file there; as nothing tells which, it is
/// kept, and the file with it: on NFSv4 and under SMACK, existing files are written in place.
fn are_its_own(names: &[u8]) -> bool {
    const ANEW: [&[u8]; 3] = [b"security.selinux", b"security.ima", b"security.evm"];
    let mut names = names.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    names.any(|name| !ANEW.contains(&name))
}

fn fill(mut new: NamedTempFile, content: &[u8]) -> io::Result<NamedTempFile> {
    new.write_all(content)?;
    // Some file systems report only now that there is no room.
    new.as_file().sync_all()?;
    Ok(new)
}

/// Overwrites the existing file. Space is reserved first, if the file system can: on a full disk
/// the old content remains.
fn fill_in_place(mut file: &File, content: &[u8]) -> io::Result<()> {
    let length = content.len() as u64;
    if length > 0 {
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::NOSPC) => return Err(Errno::NOSPC.into()),
            Err(Errno::DQUOT) => return Err(Errno::DQUOT.into()),
            Err(Errno::FBIG) => return Err(Errno::FBIG.into()),
            // The file system lacks that call, and will report a full disk when it happens.
            _ => {}
        }
    }
    file.write_all(content)?;
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_another_put_into_a_shared_folder_is_not_followed() {
        let (tmp, own, root) = ((0o41777, 0), (0o40755, 1000), 0);
        assert!(is_planted(1000, tmp, root), "root, and a user's link in /tmp");
        assert!(!is_planted(0, tmp, root) && !is_planted(1000, tmp, 1000));
        assert!(!is_planted(1000, own, root), "a user's own folder");
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = folder();
        let path = folder.path().join("report.html");
        write_whole(&path, "old").unwrap();
        for mode in [0o640, 0o4751] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let before = File::open(&path).unwrap();
            write_whole(&path, "new and longer").unwrap();
            assert_eq!(read(&path), "new and longer");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
            // A process that had it open continues to read the old content.
            assert_ne!(before.metadata().unwrap().ino(), fs::metadata(&path).unwrap().ino());
        }
        assert_eq!(names(folder.path()), 1);
    }

    #[test]
    fn a_new_file_has_the_mode_that_new_files_have() {
        let folder = folder();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_whole(&ours, "text").unwrap();
        fs::write(&plain, "text").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn links_are_followed_also_to_what_is_not_there_yet() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).unwrap();
        symlink("below/second", at("first")).unwrap();
        symlink("real", at("below/second")).unwrap();
        for text in ["new", "newer"] {
            write_whole(&at("first"), text).unwrap();
            assert_eq!(read(&at("below/real")), text);
            assert!(at("first").is_symlink() && at("below/second").is_symlink());
        }
        symlink("loop", at("loop")).unwrap();
        write_whole(&at("loop"), "text").unwrap_err();
    }

    #[test]
    fn all_names_of_a_file_show_what_was_written() {
        let folder = folder();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "what was there before").unwrap();
        fs::hard_link(&one, &other).unwrap();
        write_whole(&one, "new").unwrap();
        assert_eq!((read(&one), read(&other)), ("new".into(), "new".into()));
    }

    #[test]
    fn a_folder_is_no_file_and_nothing_is_left_beside_it() {
        let folder = folder();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for path in [inner.clone(), inner.join(".")] {
            let error = write_whole(&path, "text").unwrap_err().to_string();
            assert!(error.contains("A folder is there"), "{error}");
        }
        assert_eq!((names(folder.path()), names(&inner)), (1, 0));
    }

    #[test]
    fn devices_and_pipes_are_written_to_and_stay() {
        let folder = folder();
        let path = folder.path().join("device");
        symlink("/dev/null", &path).unwrap();
        write_whole(&path, "text").unwrap();
        assert!(!fs::metadata(&path).unwrap().is_file() && path.is_symlink());
        let error = write_whole(Path::new("/dev/full"), "text").unwrap_err().to_string();
        assert!(error.contains("Free some space, or name another place with --out"), "{error}");
    }

    #[test]
    fn what_another_has_opened_is_added_to() {
        let folder = folder();
        let path = folder.path().join("opened");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"before ").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        write_whole(Path::new(&format!("/proc/self/fd/{fd}")), "and after").unwrap();
        assert_eq!(read(&path), "before and after");
    }

    #[test]
    fn what_the_kernel_sets_anew_keeps_no_file() {
        assert!(!are_its_own(b"") && !are_its_own(b"security.selinux\0"));
        assert!(!are_its_own(b"security.ima\0security.evm\0security.selinux\0"));
        for own in ["user.note", "system.posix_acl_access", "system.nfs4_acl", "security.SMACK64"] {
            assert!(are_its_own(format!("security.ima\0{own}\0").as_bytes()), "{own}");
        }
    }

    #[test]
    fn attributes_stay() {
        let folder = folder();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let set = |file: &File| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::fsetxattr(file, "user.note", b"mine", flags)
        };
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        match set(&file) {
            // The file system of this machine has no attributes.
            Err(Errno::OPNOTSUPP | Errno::PERM) => return,
            set => set.unwrap(),
        }
        write_whole(&path, "new").unwrap();
        let mut value = [0; 8];
        let length = rustix::fs::getxattr(&path, "user.note", &mut value).unwrap();
        assert_eq!((&value[..length], read(&path)), (&b"mine"[..], "new".into()));
    }
}
