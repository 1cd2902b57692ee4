//! Decoder of perf's ring records (include/uapi/linux/perf_event.h, `enum perf_event_type`).
//!
//! Pure functions of bytes. A record that contradicts itself gives one named error, and the next
//! record is read; only an impossible length ends the buffer.

/// The fields of samples, `PERF_SAMPLE_*`; only those that [`Sample`] decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleLayout(u64);

impl SampleLayout {
    /// The interrupted instruction.
    #[doc(alias = "PERF_SAMPLE_IP")]
    pub const IP: Self = Self(1 << 0);
    /// The interrupted thread.
    #[doc(alias = "PERF_SAMPLE_TID")]
    pub const TID: Self = Self(1 << 1);
    /// The time.
    #[doc(alias = "PERF_SAMPLE_TIME")]
    pub const TIME: Self = Self(1 << 2);
    /// The call chain.
    #[doc(alias = "PERF_SAMPLE_CALLCHAIN")]
    pub const CALLCHAIN: Self = Self(1 << 5);
    /// The number of events that the sample represents.
    #[doc(alias = "PERF_SAMPLE_PERIOD")]
    pub const PERIOD: Self = Self(1 << 8);
    /// The event, if several share a ring.
    #[doc(alias = "PERF_SAMPLE_IDENTIFIER")]
    pub const IDENTIFIER: Self = Self(1 << 16);

    /// Each of the fields above.
    pub const FIELDS: [Self; 6] =
        [Self::IP, Self::TID, Self::TIME, Self::CALLCHAIN, Self::PERIOD, Self::IDENTIFIER];

    /// The fields of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it has all of `fields`.
    pub const fn has(self, fields: Self) -> bool {
        self.0 & fields.0 == fields.0
    }

    /// `perf_event_attr.sample_type`.
    pub const fn sample_type(self) -> u64 {
        self.0
    }
}

/// Why a record could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record's length is less than its header's, or not a multiple of eight; the next record
    /// cannot be found.
    #[error("the record at {offset} has the impossible length {length}")]
    Length {
        /// Where it starts.
        offset: usize,
        /// The length that it claims.
        length: usize,
    },
    /// A record reaches beyond the buffer.
    #[error("the record at {offset} needs {length} bytes and has {left}")]
    Truncated {
        /// Where it starts.
        offset: usize,
        /// The length that it needs.
        length: usize,
        /// The length that is left.
        left: usize,
    },
    /// A record is too short for its type.
    #[error("the record at {offset} of type {kind} is too short: {length} bytes")]
    Short {
        /// Where it starts.
        offset: usize,
        /// `PERF_RECORD_*`.
        kind: u32,
        /// Its length.
        length: usize,
    },
    /// A sample's call chain is longer than the sample.
    #[error("the sample at {offset} claims a call chain of {frames} entries")]
    Chain {
        /// Where it starts.
        offset: usize,
        /// The number of entries that it claims.
        frames: u64,
    },
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// A sample.
    #[doc(alias = "PERF_RECORD_SAMPLE")]
    Sample(Sample<'a>),
    /// Number of records that found no room before this one. It appears only when a later record
    /// fits.
    #[doc(alias = "PERF_RECORD_LOST")]
    Lost(u64),
    /// Number of samples lost by the hardware.
    #[doc(alias = "PERF_RECORD_LOST_SAMPLES")]
    LostSamples(u64),
    /// The kernel stopped the event for the rest of the tick: too many samples.
    #[doc(alias = "PERF_RECORD_THROTTLE")]
    Throttle,
    /// It continues.
    #[doc(alias = "PERF_RECORD_UNTHROTTLE")]
    Unthrottle,
    /// Another type.
    Other(u32),
}

/// A sample. Fields that its [`SampleLayout`] leaves out are zero, and the chain is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The event to which it belongs.
    pub id: u64,
    /// The interrupted instruction.
    pub ip: u64,
    /// The interrupted thread; 0 is the idle task.
    pub tid: u32,
    /// The time.
    pub time: u64,
    /// The number of events that it represents.
    pub period: u64,
    /// Whether the interrupted instruction is that of a virtual CPU's guest
    /// (`PERF_RECORD_MISC_GUEST_KERNEL` or `_USER`).
    pub guest: bool,
    chain: &'a [[u8; 8]],
}

impl<'a> Sample<'a> {
    /// Addresses of the call chain, innermost first, without the markers between its parts
    /// (`PERF_CONTEXT_*`).
    ///
    /// The first is the interrupted instruction, each further one a return address.
    pub fn chain(&self) -> impl Iterator<Item = u64> + use<'a> {
        /// `PERF_CONTEXT_MAX`: markers are the highest 4095 values.
        const FIRST_MARKER: u64 = 4095_u64.wrapping_neg();
        self.chain.iter().map(|&word| u64::from_ne_bytes(word)).filter(|&word| word < FIRST_MARKER)
    }
}

/// `PERF_RECORD_MISC_*`: the bits that say what was interrupted, and two of their values.
const CPUMODE: u16 = 7;
const GUEST_KERNEL: u16 = 4;
const GUEST_USER: u16 = 5;

/// `struct perf_event_header`, without the record's size.
#[derive(Debug, Clone, Copy)]
struct Header {
    kind: u32,
    misc: u16,
}

/// Iterator over the records in a buffer that starts at a record.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    length: usize,
    layout: SampleLayout,
}

impl<'a> Records<'a> {
    /// The records in `bytes`, with samples of this layout.
    pub fn new(bytes: &'a [u8], layout: SampleLayout) -> Self {
        Self { rest: bytes, length: bytes.len(), layout }
    }

    /// Removes the next record's header (without its size) and body from the buffer.
    fn split(&mut self) -> Result<(Header, &'a [u8]), RecordError> {
        let (offset, left) = (self.length - self.rest.len(), self.rest.len());
        let length = match self.rest {
            [_, _, _, _, _, _, low, high, ..] => usize::from(u16::from_ne_bytes([*low, *high])),
            _ => return Err(RecordError::Truncated { offset, length: 8, left }),
        };
        if length < 8 || length % 8 != 0 {
            return Err(RecordError::Length { offset, length });
        }
        let (record, rest) = self.rest.split_at_checked(length).ok_or(RecordError::Truncated {
            offset,
            length,
            left,
        })?;
        self.rest = rest;
        let kind = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
        let misc = u16::from_ne_bytes([record[4], record[5]]);
        Ok((Header { kind, misc }, &record[8..]))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.length - self.rest.len();
        match self.split() {
            Ok((header, body)) => Some(decode(header, body, self.layout, offset)),
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// Decodes the body of one record; its length is a multiple of eight.
#[inline]
fn decode(
    Header { kind, misc }: Header,
    body: &[u8],
    layout: SampleLayout,
    offset: usize,
) -> Result<Record<'_>, RecordError> {
    let (words, _) = body.as_chunks::<8>();
    let short = RecordError::Short { offset, kind, length: body.len() + 8 };
    let word = |i: usize| words.get(i).map(|&word| u64::from_ne_bytes(word)).ok_or(short);
    Ok(match kind {
        2 => Record::Lost(word(1)?),
        5 => Record::Throttle,
        6 => Record::Unthrottle,
        9 => {
            let guest = matches!(misc & CPUMODE, GUEST_KERNEL | GUEST_USER);
            Record::Sample(Sample { guest, ..sample(words, layout, offset).ok_or(short)?? })
        }
        13 => Record::LostSamples(word(0)?),
        _ => Record::Other(kind),
    })
}

/// `None` if a field is incomplete. The order of fields is the kernel's (`perf_output_sample`), not
/// that of the bits.
#[inline]
fn sample(
    words: &[[u8; 8]],
    layout: SampleLayout,
    offset: usize,
) -> Option<Result<Sample<'_>, RecordError>> {
    let mut rest = words;
    let mut field = |field: SampleLayout| {
        if !layout.has(field) {
            return Some([0; 8]);
        }
        let (&word, behind) = rest.split_first()?;
        rest = behind;
        Some(word)
    };
    let id = u64::from_ne_bytes(field(SampleLayout::IDENTIFIER)?);
    let ip = u64::from_ne_bytes(field(SampleLayout::IP)?);
    let [_, _, _, _, tid @ ..] = field(SampleLayout::TID)?;
    let time = u64::from_ne_bytes(field(SampleLayout::TIME)?);
    let period = u64::from_ne_bytes(field(SampleLayout::PERIOD)?);
    let frames = u64::from_ne_bytes(field(SampleLayout::CALLCHAIN)?);
    let chain = usize::try_from(frames).ok().and_then(|frames| rest.get(..frames));
    let Some(chain) = chain else { return Some(Err(RecordError::Chain { offset, frames })) };
    let tid = u32::from_ne_bytes(tid);
    Some(Ok(Sample { id, ip, tid, time, period, guest: false, chain }))
}

#[cfg(test)]
mod tests;
