//! Reads the pages of one CPU's ring buffer, in one of several ways.

use probe_core::error::{Error, Result};

use super::{
    mapped::MappedReader, page::PageLayout, parameters::PageReader, read::RawReader,
    source::PageSource, splice::SpliceReader,
};
use crate::kernel::tracefs::Instance;

/// Opens the buffer of each CPU of `instance`.
///
/// # Errors
/// One cannot be opened.
pub fn open_all(
    instance: &Instance,
    layout: PageLayout,
    reader: PageReader,
) -> Result<Vec<Box<dyn PageSource>>> {
    let open = |cpu| -> Result<Box<dyn PageSource>> {
        Ok(match reader {
            PageReader::Read => Box::new(RawReader::open(instance, cpu, layout)?),
            PageReader::Splice => Box::new(SpliceReader::open(instance, cpu, layout)?),
            PageReader::Mmap => Box::new(MappedReader::open(instance, cpu, layout)?),
        })
    };
    instance.cpus()?.iter().copied().map(open).collect()
}

/// The layout of the pages of `instance`.
///
/// # Errors
/// Its description cannot be read, or the decoder does not support it.
pub fn layout(instance: &Instance) -> Result<PageLayout> {
    let (page, event) =
        (instance.read("events/header_page")?, instance.read("events/header_event")?);
    PageLayout::parse(&page, &event).map_err(|e| {
        Error::malformed(instance.path("events/header_page").display().to_string(), e.to_string())
    })
}
