//! Pages of a ring buffer that is mapped into memory (Linux 6.10), without copying.
//!
//! One ioctl per page, and one per wake-up for a page that is still being written, of which only
//! the new part is passed on (kernel/trace/ring_buffer.c, `ring_buffer_map_get_reader`).

use std::{fs::File, os::fd::AsFd as _, path::PathBuf};

use probe_core::error::{Error, Result};

use super::{
    page::{Page, PageLayout},
    source::{PageSource, open_raw},
};
use crate::{kernel::tracefs::Instance, sys::trace_ring::MappedRing};

/// One CPU's mapped buffer.
#[derive(Debug)]
pub struct MappedReader {
    cpu: u32,
    path: PathBuf,
    // Before the file: the mapping is removed first.
    ring: MappedRing,
    file: File,
    layout: PageLayout,
    /// The last page that was passed on, and how much of it.
    id: u32,
    seen: usize,
    bytes_read: u64,
}

impl MappedReader {
    /// Maps the buffer of `cpu`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if this kernel cannot map ring buffers, or the file cannot be opened.
    pub fn open(instance: &Instance, cpu: u32, layout: PageLayout) -> Result<Self> {
        let (path, file) = open_raw(instance, cpu)?;
        let ring = MappedRing::new(file.as_fd(), layout.page_size()).map_err(|e| {
            let name = path.display().to_string();
            match e.raw_os_error() {
                Some(libc::ENODEV) => Error::unsupported(
                    format!("mmap of {name}"),
                    "this kernel cannot map its ring buffers",
                    "Use Linux 6.10 or later",
                ),
                _ => Error::call("mmap", name, e),
            }
        })?;
        Ok(Self { cpu, path, ring, file, layout, id: 0, seen: 0, bytes_read: 0 })
    }
}

impl PageSource for MappedReader {
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
        let failed = |e| {
            Error::call("ioctl(TRACE_MMAP_IOCTL_GET_READER)", self.path.display().to_string(), e)
        };
        let sub = self.ring.next(self.file.as_fd(), self.layout.header_size()).map_err(failed)?;
        // A page returns with the same number only after all others.
        let fresh = sub.id != self.id;
        let skip = if fresh { 0 } else { self.seen };
        (self.id, self.seen) = (sub.id, sub.events.len());
        if self.seen <= skip {
            return Ok(None);
        }
        self.bytes_read += (self.seen - skip) as u64;
        let page = self.layout.assemble(&sub.header, sub.events, sub.behind, skip);
        page.map(Some).map_err(|e| Error::malformed(self.path.display().to_string(), e.to_string()))
    }
}
