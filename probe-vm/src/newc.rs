//! Archives that a kernel unpacks as its first root file system (initramfs).

use anyhow::{Context, Result};
use cpio::newc::{Builder, trailer};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;

/// A newc archive whose bytes depend only on its files: no times, no owners.
pub(crate) struct Cpio {
    out: BufWriter<File>,
    inode: u32,
    dirs: BTreeSet<String>,
}

impl Cpio {
    /// Starts the archive at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { out: BufWriter::new(file), inode: 0, dirs: BTreeSet::new() })
    }

    /// Adds an executable file, and missing folders above it.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let slashes = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
        for dir in slashes {
            if self.dirs.insert(dir.to_owned()) {
                self.entry(dir, DIRECTORY, &[])?;
            }
        }
        self.entry(name, EXECUTABLE, bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        self.inode += 1;
        let size =
            u32::try_from(bytes.len()).context("files of an initramfs must be below 4 GiB")?;
        let mut writer = Builder::new(name).ino(self.inode).mode(mode).write(&mut self.out, size);
        writer.write_all(bytes)?;
        writer.finish()?;
        Ok(())
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Result<()> {
        trailer(&mut self.out)?;
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_folder_once_and_before_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cpio");
        let mut cpio = Cpio::create(&path).unwrap();
        cpio.file("a/b/one", b"1").unwrap();
        cpio.file("a/two", b"2").unwrap();
        cpio.finish().unwrap();
        let mut names = Vec::new();
        let mut input = File::open(&path).unwrap();
        loop {
            let reader = cpio::NewcReader::new(input).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_owned());
            input = reader.finish().unwrap();
        }
        assert_eq!(names, ["a", "a/b", "a/b/one", "a/two"]);
    }
}
