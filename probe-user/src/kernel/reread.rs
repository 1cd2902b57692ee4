//! A small text file of the kernel that is opened once and read again and again.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use probe_core::error::{Error, Result};

/// The open file, with a buffer for its text.
#[derive(Debug)]
pub struct Reread {
    path: PathBuf,
    /// `None` for a file that must be opened again for each reading.
    file: Option<File>,
    text: Vec<u8>,
    read: u64,
}

impl Reread {
    /// Opens a file of procfs, sysfs or debugfs.
    ///
    /// # Errors
    /// There is no such file, or this user may not read it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = File::open(&path).map_err(|e| Error::file("open", &path, e))?;
        Ok(Self::of(path, file))
    }

    /// A file that is open already; `path` is for messages.
    pub fn of(path: impl Into<PathBuf>, file: File) -> Self {
        Self { path: path.into(), file: Some(file), text: vec![0; 4096], read: 0 }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Reads the file from its start and parses its text.
    ///
    /// # Errors
    /// The kernel's, or what is wrong with the text.
    pub fn parse<T>(
        &mut self,
        parse: impl FnOnce(&str) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let length = self.fill().map_err(|e| Error::file("read", &self.path, e))?;
        let malformed = |why: String| Error::malformed(self.path.display().to_string(), why);
        let text = self.text.get(..length).unwrap_or_default();
        let text = str::from_utf8(text).map_err(|e| malformed(e.to_string()))?;
        parse(text).map_err(malformed)
    }

    /// Reads the whole file. seq_file fills a buffer that is large enough in one call, so the text
    /// is from one moment as far as the kernel guarantees it; if the buffer is full, it was too
    /// small.
    fn fill(&mut self) -> io::Result<usize> {
        loop {
            let Some(file) = &self.file else { return self.reopen() };
            let mut length = 0;
            while let Some(room) = self.text.get_mut(length..).filter(|room| !room.is_empty()) {
                match file.read_at(room, length as u64) {
                    Err(e) if e.raw_os_error() == Some(libc::ESPIPE) => {
                        // KVM's also keep the VM alive while they are open.
                        self.file = None;
                        return self.reopen();
                    }
                    Err(e) => return Err(e),
                    Ok(0) => return Ok(length),
                    Ok(count) => {
                        length = length.saturating_add(count);
                        self.read = self.read.saturating_add(count as u64);
                    }
                }
            }
            self.text.resize(length.saturating_mul(2), 0);
        }
    }

    /// Files of debugfs with one number can be read only once (`simple_attr_open`).
    fn reopen(&mut self) -> io::Result<usize> {
        self.text.clear();
        let length = File::open(&self.path)?.read_to_end(&mut self.text)?;
        self.read = self.read.saturating_add(length as u64);
        self.text.resize(length.max(4096), 0);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_from_its_start_each_time_however_long_it_has_become() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "short").unwrap();
        let mut file = Reread::open(&path).unwrap();
        let length = |text: &str| Ok(text.len());
        assert_eq!((file.parse(length).unwrap(), file.bytes_read()), (5, 5));
        fs::write(&path, "x".repeat(10_000)).unwrap();
        assert_eq!(file.parse(length).unwrap(), 10_000);
        fs::write(&path, "again").unwrap();
        assert_eq!(file.parse(|text| Ok(text.to_owned())).unwrap(), "again");
        let error = file.parse(|_| Err::<(), _>("a reason".into())).unwrap_err().to_string();
        assert!(error.contains("/x") && error.contains("a reason"), "{error}");
        fs::write(&path, [0xff]).unwrap();
        file.parse(length).unwrap_err();
    }

    #[test]
    fn a_file_that_cannot_be_read_again_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let (pipe, _end) = rustix::pipe::pipe().unwrap();
        let mut file = Reread::of(&path, pipe.into());
        for text in ["first", "", "and again"] {
            fs::write(&path, text).unwrap();
            assert_eq!(file.parse(|text| Ok(text.to_owned())).unwrap(), text);
        }
        assert_eq!(file.bytes_read(), 14);
    }
}
