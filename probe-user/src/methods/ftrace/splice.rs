//! Reads pages with `splice(2)` from `trace_pipe_raw` into a pipe, as trace-cmd records.
//!
//! The kernel passes whole pages of the ring buffer by reference, and only full ones. trace-cmd
//! moves them to a file; here they are copied once, when they are decoded. Data on a page that is
//! not full is read at the end with `read(2)`, as trace-cmd does.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::fd::OwnedFd,
};

use probe_core::error::{Error, Result};
use rustix::{
    io::Errno,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};

use super::{
    page::{Page, PageLayout},
    read::RawReader,
    source::PageSource,
};
use crate::kernel::tracefs::Instance;

/// Number of pages that the pipe can hold, which is the most that one system call moves.
const PIPE_PAGES: usize = 64;

/// One CPU's raw buffer, and a pipe.
#[derive(Debug)]
pub struct SpliceReader {
    raw: RawReader,
    inlet: OwnedFd,
    outlet: File,
    page: Vec<u8>,
    /// Number of bytes in the pipe.
    held: usize,
    ended: bool,
}

impl SpliceReader {
    /// Opens the raw buffer of `cpu` and a pipe for it.
    ///
    /// # Errors
    /// The file cannot be opened, or the pipe cannot be created.
    pub fn open(instance: &Instance, cpu: u32, layout: PageLayout) -> Result<Self> {
        let raw = RawReader::open(instance, cpu, layout)?;
        let failed = |call, e: Errno| Error::call(call, raw.name(), e.into());
        let (outlet, inlet) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| failed("pipe2", e))?;
        fcntl_setpipe_size(&inlet, PIPE_PAGES * layout.page_size())
            .map_err(|e| failed("fcntl(F_SETPIPE_SZ)", e))?;
        let page = vec![0; layout.page_size()];
        Ok(Self { raw, inlet, outlet: outlet.into(), page, held: 0, ended: false })
    }

    /// Moves full pages into the pipe, which must be empty.
    fn refill(&mut self) -> Result<()> {
        let most = PIPE_PAGES * self.page.len();
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        self.held = loop {
            match splice(&self.raw.file, None, &self.inlet, None, most, flags) {
                Ok(length) => break length,
                Err(Errno::AGAIN) => break 0,
                Err(Errno::INTR) => {}
                Err(e) => return Err(Error::call("splice", self.raw.name(), e.into())),
            }
        };
        self.raw.bytes_read += self.held as u64;
        Ok(())
    }

    fn take_page(&mut self) -> Result<()> {
        let mut filled = 0;
        while filled < self.page.len() {
            match self.outlet.read(&mut self.page[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    return Err(Error::call("read", format!("pipe of {}", self.raw.name()), e));
                }
            }
        }
        self.held = self.held.saturating_sub(self.page.len());
        Ok(())
    }
}

impl PageSource for SpliceReader {
    fn cpu(&self) -> u32 {
        self.raw.cpu
    }

    fn name(&self) -> String {
        self.raw.name()
    }

    fn bytes_read(&self) -> u64 {
        self.raw.bytes_read
    }

    fn next_page(&mut self) -> Result<Option<Page<'_>>> {
        if self.held == 0 {
            if self.ended {
                return self.raw.next_page();
            }
            self.refill()?;
        }
        if self.held == 0 {
            return Ok(None);
        }
        self.take_page()?;
        let page = self.raw.layout.open(&self.page);
        page.map(Some).map_err(|e| Error::malformed(self.raw.name(), e.to_string()))
    }

    fn end(&mut self) {
        self.ended = true;
    }
}
