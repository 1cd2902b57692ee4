//! Reads one CPU's `trace_pipe_raw`, page by page, without ever waiting.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use crate::{
    error::{Error, Result},
    kernel::tracefs::Instance,
};

/// One CPU's raw buffer.
#[derive(Debug)]
pub struct PageReader {
    cpu: u32,
    path: PathBuf,
    file: File,
    page: Vec<u8>,
    /// Bytes that came from the kernel so far.
    pub bytes_read: u64,
}

impl PageReader {
    /// Opens the raw buffer of `cpu`. The kernel then refuses to remove the instance until this is dropped.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(instance: &Instance, cpu: u32, page_size: usize) -> Result<Self> {
        let path = instance.path(&format!("per_cpu/cpu{cpu}/trace_pipe_raw"));
        // A read that waits is woken for every event and gets a nearly empty page each time.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .map_err(|e| Error::file("open", &path, e))?;
        Ok(Self { cpu, path, file, page: vec![0; page_size], bytes_read: 0 })
    }

    /// The CPU.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Path of the file, for errors about its contents.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The next page, or none where nothing is unread.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn next_page(&mut self) -> Result<Option<&[u8]>> {
        loop {
            match self.file.read(&mut self.page) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    self.bytes_read += length as u64;
                    return Ok(Some(&self.page[..length]));
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::file("read", &self.path, e)),
            }
        }
    }
}
