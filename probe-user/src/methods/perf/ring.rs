//! Decoder of perf's ring records (include/uapi/linux/perf_event.h, `enum perf_event_type`).
//!
//! Pure functions of bytes. A record that contradicts itself is one named error, and the next record is read; only a
//! length that leads nowhere ends the buffer.

/// What samples hold: `PERF_SAMPLE_IP | TID | TIME | CALLCHAIN | CPU`. [`Sample`] decodes exactly this.
pub const SAMPLE_TYPE: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 7;

/// Why a record could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record's length is below its header's, or no multiple of eight; what follows cannot be found.
    #[error("the record at {offset} has the impossible length {length}")]
    Length {
        /// Where it starts.
        offset: usize,
        /// The length that it states.
        length: usize,
    },
    /// A record reaches beyond the buffer.
    #[error("the record at {offset} needs {length} bytes and has {left}")]
    Truncated {
        /// Where it starts.
        offset: usize,
        /// The length that it needs.
        length: usize,
        /// What there is.
        left: usize,
    },
    /// A record is too short for its kind.
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
        /// The number of entries that it states.
        frames: u64,
    },
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// A sample.
    #[doc(alias = "PERF_RECORD_SAMPLE")]
    Sample(Sample<'a>),
    /// So many records found no room before this one. It appears only when a later record fits.
    #[doc(alias = "PERF_RECORD_LOST")]
    Lost(u64),
    /// So many samples were lost by the hardware.
    #[doc(alias = "PERF_RECORD_LOST_SAMPLES")]
    LostSamples(u64),
    /// The kernel stopped the event for the rest of the tick: too many samples.
    #[doc(alias = "PERF_RECORD_THROTTLE")]
    Throttle,
    /// It goes on.
    #[doc(alias = "PERF_RECORD_UNTHROTTLE")]
    Unthrottle,
    /// Another kind.
    Other(u32),
}

/// A sample of [`SAMPLE_TYPE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The interrupted instruction.
    pub ip: u64,
    /// The interrupted thread; 0 is the idle task.
    pub tid: u32,
    /// When.
    pub time: u64,
    /// On which CPU.
    pub cpu: u32,
    chain: &'a [[u8; 8]],
}

impl<'a> Sample<'a> {
    /// Addresses of the call chain, innermost first, without the markers between its parts (`PERF_CONTEXT_*`).
    ///
    /// The first is the interrupted instruction, each further one a return address.
    pub fn chain(&self) -> impl Iterator<Item = u64> + use<'a> {
        /// `PERF_CONTEXT_MAX`: markers are the highest 4095 values.
        const FIRST_MARKER: u64 = 4095_u64.wrapping_neg();
        self.chain.iter().map(|&word| u64::from_ne_bytes(word)).filter(|&word| word < FIRST_MARKER)
    }
}

/// Iterator over the records in a buffer that starts at a record.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Records<'a> {
    /// The records in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Takes the next record's type and body off the buffer.
    fn split(&mut self) -> Result<(u32, &'a [u8]), RecordError> {
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
        Ok((kind, &record[8..]))
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
            Ok((kind, body)) => Some(decode(kind, body, offset)),
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// Decodes the body of one record; its length is a multiple of eight.
#[inline]
fn decode(kind: u32, body: &[u8], offset: usize) -> Result<Record<'_>, RecordError> {
    let (words, _) = body.as_chunks::<8>();
    let short = RecordError::Short { offset, kind, length: body.len() + 8 };
    let word = |i: usize| words.get(i).map(|&word| u64::from_ne_bytes(word)).ok_or(short);
    Ok(match kind {
        2 => Record::Lost(word(1)?),
        5 => Record::Throttle,
        6 => Record::Unthrottle,
        9 => Record::Sample(sample(words, offset).ok_or(short)??),
        13 => Record::LostSamples(word(0)?),
        _ => Record::Other(kind),
    })
}

/// None where the fixed part is cut short.
#[inline]
fn sample(words: &[[u8; 8]], offset: usize) -> Option<Result<Sample<'_>, RecordError>> {
    let (&[ip, pid_tid, time, cpu, frames], behind) = words.split_first_chunk()?;
    let frames = u64::from_ne_bytes(frames);
    let chain = usize::try_from(frames).ok().and_then(|frames| behind.get(..frames));
    let Some(chain) = chain else { return Some(Err(RecordError::Chain { offset, frames })) };
    Some(Ok(Sample {
        ip: u64::from_ne_bytes(ip),
        tid: u32::from_ne_bytes([pid_tid[4], pid_tid[5], pid_tid[6], pid_tid[7]]),
        time: u64::from_ne_bytes(time),
        cpu: u32::from_ne_bytes([cpu[0], cpu[1], cpu[2], cpu[3]]),
        chain,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Written {
        Sample { ip: u64, tid: u32, time: u64, cpu: u32, chain: Vec<u64> },
        Plain(u32, Vec<u64>),
    }

    fn record(kind: u32, words: &[u64]) -> Vec<u8> {
        let length = u16::try_from(8 + words.len() * 8).unwrap();
        let mut bytes = [&kind.to_ne_bytes()[..], &[0; 2], &length.to_ne_bytes()].concat();
        bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    impl Written {
        fn encode(&self) -> Vec<u8> {
            match self {
                Self::Plain(kind, words) => record(*kind, words),
                Self::Sample { ip, tid, time, cpu, chain } => {
                    let tids = 7 | u64::from(*tid) << 32;
                    let mut words = vec![*ip, tids, *time, u64::from(*cpu), chain.len() as u64];
                    words.extend(chain);
                    record(9, &words)
                }
            }
        }
    }

    fn written() -> impl Strategy<Value = Written> {
        // Below the context markers, as every address is.
        let address = 0..u64::MAX - 5000;
        let sample = (address.clone(), any::<u32>(), any::<u64>(), any::<u32>());
        let sample = (sample, proptest::collection::vec(address, 0..30));
        prop_oneof![
            4 => sample.prop_map(|((ip, tid, time, cpu), chain)| Written::Sample { ip, tid, time, cpu, chain }),
            1 => (0..30_u32, proptest::collection::vec(any::<u64>(), 3..6))
                .prop_filter("samples are made above", |(kind, _)| *kind != 9)
                .prop_map(|(kind, words)| Written::Plain(kind, words)),
        ]
    }

    proptest! {
        #[test]
        fn what_the_kernel_writes_is_read_back(records in proptest::collection::vec(written(), 0..20)) {
            let bytes: Vec<u8> = records.iter().flat_map(Written::encode).collect();
            let decoded: Vec<_> = Records::new(&bytes).collect();
            prop_assert_eq!(decoded.len(), records.len());
            for (decoded, written) in decoded.into_iter().zip(&records) {
                match (decoded.unwrap(), written) {
                    (Record::Sample(read), Written::Sample { ip, tid, time, cpu, chain }) => {
                        prop_assert_eq!((read.ip, read.tid, read.time, read.cpu), (*ip, *tid, *time, *cpu));
                        prop_assert_eq!(&read.chain().collect::<Vec<_>>(), chain);
                    }
                    (Record::Lost(n), Written::Plain(2, words)) => prop_assert_eq!(n, words[1]),
                    (Record::LostSamples(n), Written::Plain(13, words)) => prop_assert_eq!(n, words[0]),
                    (Record::Throttle, Written::Plain(5, _)) | (Record::Unthrottle, Written::Plain(6, _)) => {}
                    (Record::Other(kind), Written::Plain(other, _)) => prop_assert_eq!(kind, *other),
                    (read, written) => prop_assert!(false, "{:?} from {:?}", read, written),
                }
            }
        }

        #[test]
        fn hostile_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(Records::new(&bytes).count() <= bytes.len() / 8 + 1);
        }

        /// Small records of every kind, whose lengths lead somewhere, so that their bodies are really reached.
        #[test]
        fn hostile_bodies_end(
            records in proptest::collection::vec((0_u32..16, proptest::collection::vec(any::<u64>(), 0..8)), 0..40),
        ) {
            let bytes: Vec<u8> = records.iter().flat_map(|(kind, words)| record(*kind, words)).collect();
            prop_assert_eq!(Records::new(&bytes).count(), records.len());
        }
    }

    #[test]
    fn markers_are_no_addresses() {
        let kernel_marker = 128_u64.wrapping_neg();
        let chain = vec![kernel_marker, 0xffff_ffff_8100_0000, 0xffff_ffff_c000_0001];
        let bytes = Written::Sample { ip: 1, tid: 2, time: 3, cpu: 4, chain }.encode();
        let Some(Ok(Record::Sample(sample))) = Records::new(&bytes).next() else { panic!() };
        assert_eq!(
            sample.chain().collect::<Vec<_>>(),
            [0xffff_ffff_8100_0000, 0xffff_ffff_c000_0001]
        );
    }

    #[test]
    fn each_malformation_has_its_name_and_the_next_record_is_read() {
        let check = |broken: &[u8], expected: &[Result<Record<'_>, RecordError>]| {
            let bytes = [broken, &record(5, &[0; 3])].concat();
            assert_eq!(Records::new(&bytes).collect::<Vec<_>>(), expected);
        };
        let next = Ok(Record::Throttle);
        let chain = RecordError::Chain { offset: 0, frames: 2 };
        check(&record(9, &[0, 0, 0, 0, 2, 7]), &[Err(chain), next]);
        let sample = RecordError::Short { offset: 0, kind: 9, length: 40 };
        check(&record(9, &[0; 4]), &[Err(sample), next]);
        let lost = RecordError::Short { offset: 0, kind: 2, length: 16 };
        check(&record(2, &[1]), &[Err(lost), next]);
        // Lengths that lead nowhere.
        check(&[0; 8], &[Err(RecordError::Length { offset: 0, length: 0 })]);
        let long = RecordError::Truncated { offset: 0, length: 80, left: 40 };
        check(&[0, 0, 0, 0, 0, 0, 80, 0], &[Err(long)]);
    }
}
