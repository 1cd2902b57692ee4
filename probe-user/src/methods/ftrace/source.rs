//! What each way of reading a CPU's ring buffer offers.

use std::{
    fmt::Debug,
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use probe_core::error::{Error, Result};

use super::page::Page;
use crate::kernel::tracefs::Instance;

/// One CPU's pages, in order, without ever blocking. The kernel refuses to remove the instance
/// while this exists.
pub trait PageSource: Debug + Send {
    /// The CPU.
    fn cpu(&self) -> u32;

    /// Path of the file, for errors about its content.
    fn name(&self) -> String;

    /// Bytes read from the kernel so far.
    fn bytes_read(&self) -> u64;

    /// The next page, or `None` if nothing is ready.
    ///
    /// # Errors
    /// The kernel refused; [`Error::Malformed`] if only this page does not match its layout.
    ///
    /// [`Error::Malformed`]: probe_core::error::Error::Malformed
    fn next_page(&mut self) -> Result<Option<Page<'_>>>;

    /// Nothing is written any more: from now on, data on an incomplete page is ready too.
    fn end(&mut self) {}
}

/// Opens the raw buffer of `cpu`; also returns its path. A blocking read would wake up for every
/// event and get a nearly empty page each time.
pub(super) fn open_raw(instance: &Instance, cpu: u32) -> Result<(PathBuf, File)> {
    let path = instance.path(&format!("per_cpu/cpu{cpu}/trace_pipe_raw"));
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .map_err(|e| Error::file("open", &path, e))?;
    Ok((path, file))
}
