//! Reads pages with `read(2)` from `trace_pipe_raw`.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::PathBuf,
};

use probe_core::error::{Error, Result};

use super::{
    page::{Page, PageLayout},
    source::{PageSource, open_raw},
};
use crate::kernel::tracefs::Instance;

/// One CPU's raw buffer.
#[derive(Debug)]
pub struct RawReader {
    pub(super) cpu: u32,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) layout: PageLayout,
    page: Vec<u8>,
    pub(super) bytes_read: u64,
}

impl RawReader {
    /// Opens the raw buffer of `cpu`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(instance: &Instance, cpu: u32, layout: PageLayout) -> Result<Self> {
        let (path, file) = open_raw(instance, cpu)?;
        Ok(Self { cpu, path, file, layout, page: vec![0; layout.page_size()], bytes_read: 0 })
    }

    /// Fills the page from the file; returns its length, zero if nothing is unread.
    fn fill(&mut self) -> Result<usize> {
        loop {
            match self.file.read(&mut self.page) {
                Ok(length) => return Ok(length),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::file("read", &self.path, e)),
            }
        }
    }
}

impl PageSource for RawReader {
    fn cpu(&self) -> u32 {
        self.cpu
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    fn next_page(&mut self) -> Result<Option<Page<'_>>> {
        let length = self.fill()?;
        if length == 0 {
            return Ok(None);
        }
        self.bytes_read += length as u64;
        let page = self.layout.open(&self.page[..length]);
        page.map(Some).map_err(|e| Error::malformed(self.path.display().to_string(), e.to_string()))
    }
}
