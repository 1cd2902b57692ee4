//! Records of `bpf_perf_event_output` in a perf ring (include/uapi/linux/perf_event.h): samples
//! with only `PERF_SAMPLE_RAW`, and counts of those for which there was no room.

/// Why a record could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A record's length is impossible, or reaches beyond the buffer; the next record cannot be
    /// found.
    #[error("the record at {offset} has {length} bytes, and {left} are left")]
    Length {
        /// Where it starts.
        offset: usize,
        /// The length that it claims, or that its header needs.
        length: usize,
        /// The length that is left.
        left: usize,
    },
    /// A record does not have the content of its type.
    #[error("the record at {offset} of type {kind} holds something else")]
    Content {
        /// Where it starts.
        offset: usize,
        /// `PERF_RECORD_*`.
        kind: u32,
    },
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<const N: usize> {
    /// The data that a program wrote.
    #[doc(alias = "PERF_RECORD_SAMPLE")]
    Data([u64; N]),
    /// Number of records that found no room before this one. It appears only when a later record
    /// fits.
    #[doc(alias = "PERF_RECORD_LOST")]
    Lost(u64),
}

/// Passes all records of `N` words to `take`; `bytes` start at a record.
///
/// # Errors
/// The first error; later records are still read if they can be found.
pub fn outputs<const N: usize>(
    bytes: &[u8],
    mut take: impl FnMut(Output<N>),
) -> Result<(), OutputError> {
    let mut rest = bytes;
    let mut outcome = Ok(());
    while !rest.is_empty() {
        let (offset, left) = (bytes.len() - rest.len(), rest.len());
        let Some((header, _)) = rest.split_first_chunk::<8>() else {
            return outcome.and(Err(OutputError::Length { offset, length: 8, left }));
        };
        let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let length = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        if length < 8 || length > left {
            return outcome.and(Err(OutputError::Length { offset, length, left }));
        }
        let (record, behind) = rest.split_at(length);
        rest = behind;
        match decode(kind, &record[8..]) {
            Some(output) => take(output),
            None => outcome = outcome.and(Err(OutputError::Content { offset, kind })),
        }
    }
    outcome
}

fn decode<const N: usize>(kind: u32, body: &[u8]) -> Option<Output<N>> {
    const LOST: u32 = 2;
    const SAMPLE: u32 = 9;
    match kind {
        // The size of what follows, including padding, so that the record is a multiple of eight.
        SAMPLE => {
            let (size, data) = body.split_first_chunk::<4>()?;
            let whole = u32::from_ne_bytes(*size) as usize == data.len();
            let words = data.as_chunks::<8>().0.get(..N).filter(|_| whole)?;
            Some(Output::Data(std::array::from_fn(|word| u64::from_ne_bytes(words[word]))))
        }
        // The event's id, and the number.
        LOST => Some(Output::Lost(u64::from_ne_bytes(*body.get(8..)?.first_chunk()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + body.len()).unwrap();
        let header = [&kind.to_ne_bytes()[..], &[0, 0], &length.to_ne_bytes()].concat();
        [&header[..], body].concat()
    }

    fn sample(at: u64) -> Vec<u8> {
        // Rounded as in `perf_prepare_sample`: 4 + 8 to 16, of which 12 follow the size.
        record(9, &[&12_u32.to_ne_bytes()[..], &at.to_ne_bytes(), &[0; 4]].concat())
    }

    fn lost(n: u64) -> Vec<u8> {
        record(2, &[77_u64.to_ne_bytes(), n.to_ne_bytes()].concat())
    }

    fn read(bytes: &[u8]) -> (Vec<Output<1>>, Result<(), OutputError>) {
        let mut seen = Vec::new();
        let outcome = outputs(bytes, |output| seen.push(output));
        (seen, outcome)
    }

    #[test]
    fn samples_and_losses_are_told_apart() {
        let bytes = [sample(5), lost(3), sample(6)].concat();
        let expected = vec![Output::Data([5]), Output::Lost(3), Output::Data([6])];
        assert_eq!(read(&bytes), (expected, Ok(())));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_next_is_read() {
        let short = record(9, &[&12_u32.to_ne_bytes()[..], &[0; 4]].concat());
        let bytes = [short, sample(6), record(5, &[])].concat();
        let error = OutputError::Content { offset: 0, kind: 9 };
        assert_eq!(read(&bytes), (vec![Output::Data([6])], Err(error)));
        let lengths = [(0_u16, 8), (7, 8), (16, 8)];
        for (length, left) in lengths {
            let header = [&9_u32.to_ne_bytes()[..], &[0, 0], &length.to_ne_bytes()].concat();
            let error = OutputError::Length { offset: 0, length: length.into(), left };
            assert_eq!(read(&header), (vec![], Err(error)));
        }
        let error = OutputError::Length { offset: 0, length: 8, left: 3 };
        assert_eq!(read(&[1, 2, 3]), (vec![], Err(error)));
    }

    proptest! {
        #[test]
        fn garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (seen, outcome) = read(&bytes);
            prop_assert!(seen.len() <= bytes.len() / 8);
            prop_assert!(bytes.is_empty() || outcome.is_err() || !seen.is_empty());
        }
    }
}
