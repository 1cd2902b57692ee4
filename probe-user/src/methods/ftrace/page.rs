//! Decoder of the kernel's ring-buffer pages (kernel/trace/ring_buffer.c), as read from
//! `trace_pipe_raw`.
//!
//! Pure functions of bytes. A malformed page gives one named error after the events that precede
//! the damage; the next page starts afresh. Every step consumes at least four bytes, so decoding
//! always terminates.

use crate::kernel::tracefs::format::{Fields, FormatError, check_event_header};

/// Why a page, or the rest of one, could not be decoded. Offsets are relative to the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// There are fewer bytes than in a page's header.
    #[error("a page of {0} bytes is shorter than its header")]
    ShortPage(usize),
    /// The header claims more data than there are bytes.
    #[error("the page claims {commit} bytes of events, but has {available}")]
    Commit {
        /// The length that the header claims.
        commit: usize,
        /// The length that is available.
        available: usize,
    },
    /// The header says that a count of missed events follows the data, but that would be after the
    /// page's end.
    #[error("the count of missed events does not fit after {commit} bytes of events")]
    MissedCount {
        /// Length of the data.
        commit: usize,
    },
    /// An event reaches beyond the data.
    #[error("the event at {offset} needs {needed} bytes and has {left}")]
    Truncated {
        /// Where it starts.
        offset: usize,
        /// Its length.
        needed: usize,
        /// Bytes of data from there.
        left: usize,
    },
    /// An event's explicit length is impossible: not a multiple of four, or too short for itself.
    #[error("the event at {offset} has the impossible length {length}")]
    Length {
        /// Where it starts.
        offset: usize,
        /// The length that it claims.
        length: u32,
    },
}

/// Offsets of the parts of a page, from `events/header_page`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLayout {
    timestamp: usize,
    commit: usize,
    data: usize,
    data_size: usize,
}

impl PageLayout {
    /// Parses the layout from the texts of `events/header_page` and `events/header_event`.
    ///
    /// # Errors
    /// A field is missing, or the events have an unknown encoding.
    pub fn parse(header_page: &str, header_event: &str) -> Result<Self, FormatError> {
        check_event_header(header_event)?;
        let fields = Fields::parse(header_page)?;
        let data = &fields.get("data")?.bytes;
        // A 32-bit kernel's `local_t` has 4 bytes; its flags are the same.
        let commit = fields.offset::<8>("commit").or_else(|_| fields.offset::<4>("commit"))?;
        let timestamp = fields.offset::<8>("timestamp")?;
        let layout = Self { timestamp, commit, data: data.start, data_size: data.len() };
        if timestamp.max(commit) + 4 > layout.data {
            return Err(FormatError::Encoding("data before the page's header".into()));
        }
        Ok(layout)
    }

    /// Length of a page, including its header.
    pub fn page_size(&self) -> usize {
        self.data + self.data_size
    }

    /// Number of bytes of events that fit in one page.
    pub fn data_size(&self) -> usize {
        self.data_size
    }

    /// Reads the header of one page.
    ///
    /// # Errors
    /// The header contradicts the page's length.
    pub fn open<'a>(&self, page: &'a [u8]) -> Result<Page<'a>, PageError> {
        let short = PageError::ShortPage(page.len());
        let (header, body) = page.split_at_checked(self.data).ok_or(short)?;
        let (timestamp, flags) = self.header(header)?;
        let commit = flags.length();
        let available = body.len().min(self.data_size);
        let (events, behind) = body[..available]
            .split_at_checked(commit)
            .ok_or(PageError::Commit { commit, available })?;
        let missed = flags.missed(behind, commit)?;
        Ok(Page { timestamp, missed, events, skip: 0 })
    }

    /// Length of a page's header.
    pub fn header_size(&self) -> usize {
        self.data
    }

    /// A page made of parts, while it may still be written: its header, the events committed so
    /// far, of which `skip` bytes were already passed on, and the eight bytes after them.
    ///
    /// # Errors
    /// The header is too short.
    pub fn assemble<'a>(
        &self,
        header: &[u8],
        events: &'a [u8],
        behind: [u8; 8],
        skip: usize,
    ) -> Result<Page<'a>, PageError> {
        let (timestamp, flags) = self.header(header)?;
        // What was lost before the page was reported with its first part.
        let missed = if skip > 0 { Missed::None } else { flags.missed(&behind, events.len())? };
        Ok(Page { timestamp, missed, events, skip })
    }

    fn header(&self, header: &[u8]) -> Result<(u64, Commit), PageError> {
        let short = PageError::ShortPage(header.len());
        let timestamp = header.get(self.timestamp..).and_then(first_u64).ok_or(short)?;
        let commit = header.get(self.commit..).and_then(first_u32).ok_or(short)?;
        Ok((timestamp, Commit(commit)))
    }
}

/// The field `commit` of a page's header.
#[derive(Debug, Clone, Copy)]
struct Commit(u32);

impl Commit {
    /// Events were lost before this page.
    const MISSED_EVENTS: u32 = 1 << 31;
    /// Their number follows the data.
    const MISSED_STORED: u32 = 1 << 30;

    /// Length of the data.
    fn length(self) -> usize {
        (self.0 & !(Self::MISSED_EVENTS | Self::MISSED_STORED)) as usize
    }

    /// What was lost; `behind` are the bytes after the data, whose length is `commit`.
    fn missed(self, behind: &[u8], commit: usize) -> Result<Missed, PageError> {
        let set = |flag| self.0 & flag != 0;
        match (set(Self::MISSED_EVENTS), set(Self::MISSED_STORED)) {
            (false, _) => Ok(Missed::None),
            (true, false) => Ok(Missed::Some),
            (true, true) => {
                let count = first_u64(behind).ok_or(PageError::MissedCount { commit })?;
                Ok(Missed::Counted(count))
            }
        }
    }
}

/// Events that newer ones overwrote between the preceding page and this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// None.
    None,
    /// Some; the page had no space for their number.
    Some,
    /// This many.
    Counted(u64),
}

/// A page whose header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<'a> {
    /// Base time of the first event's delta, in units of the trace clock.
    pub timestamp: u64,
    /// What was lost before it.
    pub missed: Missed,
    pub(super) events: &'a [u8],
    /// Length of the events that were already passed on, if a page is read while it is being
    /// written.
    pub(super) skip: usize,
}

impl<'a> Page<'a> {
    /// Its events that were not handed out before, in order. An error is the last item.
    pub fn events(&self) -> PageEvents<'a> {
        let (before, rest) = self.events.split_at(self.skip.min(self.events.len()));
        let mut before = PageEvents { rest: before, length: before.len(), at: self.timestamp };
        // Time stamps count from the events before, so that these are walked through again.
        while before.next().is_some() {}
        PageEvents { rest, length: self.events.len(), at: before.at }
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// When it was recorded, in units of the trace clock.
    pub at: u64,
    /// Its bytes as described by its `format` file, padded to a multiple of four.
    pub payload: &'a [u8],
}

/// Iterator over the events of one page.
#[derive(Debug, Clone)]
pub struct PageEvents<'a> {
    rest: &'a [u8],
    length: usize,
    at: u64,
}

/// Values of `type_len` other than plain lengths (`enum ring_buffer_type`).
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;

impl<'a> Iterator for PageEvents<'a> {
    type Item = Result<Event<'a>, PageError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((header, behind)) = self.rest.split_first_chunk() else {
                return self.end();
            };
            let header = u32::from_le_bytes(*header);
            let (type_len, delta) = (header & 31, u64::from(header >> 5));
            if let 1..=28 = type_len {
                let Some((payload, rest)) = behind.split_at_checked(type_len as usize * 4) else {
                    return self.truncated(4 + type_len as usize * 4);
                };
                self.rest = rest;
                self.at = self.at.wrapping_add(delta);
                return Some(Ok(Event { at: self.at, payload }));
            }
            match self.special(type_len, delta, behind) {
                Ok(Step::Event(event)) => return Some(Ok(event)),
                Ok(Step::Skip(rest)) => self.rest = rest,
                Err(error) => return self.fail(error),
            }
        }
    }
}

/// The meaning of an entry other than short data.
enum Step<'a> {
    /// An event; the iterator is after it.
    Event(Event<'a>),
    /// Nothing to return; this is what follows.
    Skip(&'a [u8]),
}

impl<'a> PageEvents<'a> {
    /// Everything but short data: long data, time stamps, padding.
    #[cold]
    fn special(
        &mut self,
        type_len: u32,
        delta: u64,
        behind: &'a [u8],
    ) -> Result<Step<'a>, PageError> {
        if type_len == PADDING && delta == 0 {
            // The rest of the page was never written.
            return Ok(Step::Skip(&[]));
        }
        let Some((&array, behind)) = behind.split_first_chunk() else {
            return Err(self.needs(8));
        };
        let array = u32::from_le_bytes(array);
        let stamp = delta + (u64::from(array) << 27);
        match type_len {
            TIME_EXTEND => self.at = self.at.wrapping_add(stamp),
            TIME_STAMP => self.at = absolute(stamp, self.at),
            _ => return self.long(type_len, delta, array, behind),
        }
        Ok(Step::Skip(behind))
    }

    /// An event with an explicit length, which includes the length's own four bytes: data, or a
    /// discarded event.
    fn long(
        &mut self,
        type_len: u32,
        delta: u64,
        length: u32,
        behind: &'a [u8],
    ) -> Result<Step<'a>, PageError> {
        let payload = match length.checked_sub(4) {
            Some(payload) if payload % 4 == 0 => payload as usize,
            _ => return Err(PageError::Length { offset: self.offset(), length }),
        };
        let (payload, rest) =
            behind.split_at_checked(payload).ok_or_else(|| self.needs(8 + payload))?;
        // The delta of the event after a discarded one is relative to the discarded one.
        self.at = self.at.wrapping_add(delta);
        if type_len == PADDING {
            return Ok(Step::Skip(rest));
        }
        self.rest = rest;
        Ok(Step::Event(Event { at: self.at, payload }))
    }

    fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    fn needs(&self, needed: usize) -> PageError {
        PageError::Truncated { offset: self.offset(), needed, left: self.rest.len() }
    }

    #[cold]
    fn end(&mut self) -> Option<Result<Event<'a>, PageError>> {
        if self.rest.is_empty() { None } else { self.truncated(4) }
    }

    #[cold]
    fn truncated(&mut self, needed: usize) -> Option<Result<Event<'a>, PageError>> {
        self.fail(self.needs(needed))
    }

    fn fail(&mut self, error: PageError) -> Option<Result<Event<'a>, PageError>> {
        self.rest = &[];
        Some(Err(error))
    }
}

/// An absolute timestamp has 59 bits; the upper five come from the preceding time
/// (`rb_fix_abs_ts`).
fn absolute(stamp: u64, before: u64) -> u64 {
    const UPPER: u64 = 0x1f << 59;
    let fixed = stamp | (before & UPPER);
    // The lower bits have wrapped around since.
    if before & UPPER != 0 && fixed < before { fixed.wrapping_add(1 << 59) } else { fixed }
}

fn first_u64(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|&chunk| u64::from_le_bytes(chunk))
}

fn first_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|&chunk| u32::from_le_bytes(chunk))
}

#[cfg(test)]
mod tests;
