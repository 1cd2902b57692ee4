//! Records of a BPF ring buffer (kernel/bpf/ringbuf.c).
//!
//! A record is a header of eight bytes and its data, rounded up to eight bytes. The header's lower
//! half is the length of the data, with two bits on top: busy, while a program is writing the
//! record; discarded, if it gave it up. The decoder is a function of positions and words, and does
//! not know where they come from.

use std::{
    ops::Range,
    os::fd::{AsFd as _, BorrowedFd},
};

use probe_core::error::{Error, Result};

use super::object::Map;
use crate::sys::ringbuf::RingMemory;

/// `BPF_RINGBUF_BUSY_BIT`
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`
const DISCARDED: u32 = 1 << 30;
const HEADER: u64 = 8;

/// Why records could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The positions are not multiples of eight, or the writers' is behind the reader's or more
    /// than the ring's size ahead.
    #[error("the ring's positions {consumer} and {producer} are impossible")]
    Positions {
        /// Where the reader is.
        consumer: u64,
        /// Where the writers are.
        producer: u64,
    },
    /// A record reaches beyond what was written; the next record cannot be found.
    #[error("the record at {position} claims {length} bytes and has {left}")]
    Truncated {
        /// Where its header is.
        position: u64,
        /// The length that it claims.
        length: u32,
        /// The length that is left after its header.
        left: u64,
    },
    /// A record does not have the length of the program's records.
    #[error("the record at {position} has {length} bytes, not {expected}")]
    Length {
        /// Where its header is.
        position: u64,
        /// The length that it claims.
        length: u32,
        /// The length that it should have.
        expected: usize,
    },
}

/// The result of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Where the reader is now.
    pub position: u64,
    /// The first error; later records are still read if they can be found.
    pub error: Option<RingError>,
}

/// Number of bytes read before their space is released, so that programs that write meanwhile find
/// room.
const STEP: u64 = 64 << 10;

/// Passes the complete records of `N` words between two positions of a ring of `size` bytes to
/// `take`, oldest first. It stops at the first busy record, or after the first 64 KiB. `word`
/// returns the ring's word at a position; it is called for a record's header before its data.
pub fn records<const N: usize>(
    span: Range<u64>,
    size: u64,
    word: impl Fn(u64) -> u64,
    mut take: impl FnMut([u64; N]),
) -> Read {
    let Range { start: mut position, end } = span;
    let aligned = position % HEADER == 0 && end % HEADER == 0;
    if !aligned || end.checked_sub(position).is_none_or(|ahead| ahead > size) {
        let error = Some(RingError::Positions { consumer: position, producer: end });
        return Read { position, error };
    }
    let mut error = None;
    let enough = position.saturating_add(STEP).min(end);
    while position < enough {
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is the kernel's own")]
        let header = word(position) as u32;
        if header & BUSY != 0 {
            break;
        }
        let length = header & !DISCARDED;
        let (data, left) = (position + HEADER, end - position - HEADER);
        if u64::from(length) > left {
            error.get_or_insert(RingError::Truncated { position, length, left });
            break;
        }
        if header & DISCARDED == 0 {
            match length as usize == size_of::<[u64; N]>() {
                true => take(std::array::from_fn(|index| word(data + 8 * index as u64))),
                false => {
                    let expected = size_of::<[u64; N]>();
                    error.get_or_insert(RingError::Length { position, length, expected });
                }
            }
        }
        position = data + u64::from(length).next_multiple_of(HEADER);
    }
    Read { position, error }
}

/// The reader's end of a ring whose records have `N` words.
#[derive(Debug)]
pub struct BpfRing<const N: usize> {
    map: Map,
    memory: RingMemory,
    bytes: u64,
}

impl<const N: usize> BpfRing<N> {
    /// Maps the ring of `map`, which holds `size` bytes. `subject` names it in errors.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn new(map: &Map, size: u32, subject: &str) -> Result<Self> {
        let memory = RingMemory::new(map.fd().as_fd(), size as usize)
            .map_err(|e| Error::call("mmap", format!("ring for {subject}"), e))?;
        Ok(Self { map: Map::clone(map), memory, bytes: 0 })
    }

    /// What a reader waits for, if the ring's programs wake it.
    pub fn ready(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }

    /// Passes all complete records to `take`, oldest first, and releases their space.
    ///
    /// # Errors
    /// The ring contains something other than its programs' records.
    pub fn drain(&mut self, mut take: impl FnMut([u64; N])) -> Result<()> {
        let (mut start, end) = (self.memory.consumer(), self.memory.producer());
        let mut wrong = None;
        loop {
            let memory = &self.memory;
            let read = records(start..end, memory.size(), |at| memory.word(at), &mut take);
            wrong = wrong.or(read.error);
            if read.position == start {
                break;
            }
            self.bytes += read.position - start;
            self.memory.release(read.position);
            start = read.position;
        }
        wrong.map_or(Ok(()), |error| Err(Error::malformed("BPF ring", error.to_string())))
    }

    /// Checks that everything that programs started to write was read; `subject` names the ring in
    /// the error. Must be called when no program can write any more.
    ///
    /// # Errors
    /// Something is left: after a record that its program never finished, or since the ring was
    /// last drained.
    pub fn all_read(&self, subject: &str) -> Result<()> {
        let left = self.memory.producer().saturating_sub(self.memory.consumer());
        match left {
            0 => Ok(()),
            _ => Err(Error::Inconsistent(format!(
                "{left} bytes of records of {subject} were neither read nor lost"
            ))),
        }
    }

    /// Bytes that were read, including headers.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ring as the kernel fills it.
    struct Writer {
        words: Vec<u64>,
        consumer: u64,
        producer: u64,
    }

    impl Writer {
        fn new(size: usize, start: u64) -> Self {
            Self { words: vec![0; size / 8], consumer: start, producer: start }
        }

        fn size(&self) -> u64 {
            8 * self.words.len() as u64
        }

        fn put(&mut self, word: u64) {
            let index = (self.producer % self.size() / 8) as usize;
            self.words[index] = word;
            self.producer += 8;
        }

        /// `__bpf_ringbuf_reserve` accepts a record only if it leaves the positions at most `size`
        /// apart.
        fn write(&mut self, bits: u32, record: &[u64]) -> bool {
            let length = 8 * record.len() as u32;
            if self.producer + 8 + u64::from(length) - self.consumer > self.size() - 1 {
                return false;
            }
            // The upper half is a page offset, which the reader does not use.
            self.put(u64::from(length | bits) | 0xabcd << 32);
            record.iter().for_each(|&word| self.put(word));
            true
        }

        fn read(&mut self, into: &mut Vec<u64>) -> Read {
            let words = &self.words;
            let size = self.size();
            let word = |position: u64| words[(position % size / 8) as usize];
            let read = records(self.consumer..self.producer, size, word, |[at]| into.push(at));
            self.consumer = read.position;
            read
        }
    }

    #[test]
    fn a_busy_record_stops_the_reader_until_it_is_done() {
        let mut ring = Writer::new(128, 0);
        assert!(ring.write(0, &[1]) && ring.write(DISCARDED, &[2]) && ring.write(BUSY, &[3]));
        assert!(ring.write(0, &[4]));
        let mut seen = Vec::new();
        assert_eq!(ring.read(&mut seen), Read { position: 32, error: None });
        ring.words[4] &= !u64::from(BUSY);
        assert_eq!(ring.read(&mut seen), Read { position: 64, error: None });
        assert_eq!(seen, [1, 3, 4]);
    }

    #[test]
    fn a_record_of_another_length_is_named_and_the_next_is_read() {
        let mut ring = Writer::new(128, 64);
        assert!(ring.write(0, &[1, 2]) && ring.write(0, &[3]));
        let mut seen = Vec::new();
        let error = RingError::Length { position: 64, length: 16, expected: 8 };
        assert_eq!(ring.read(&mut seen), Read { position: 104, error: Some(error) });
        assert_eq!(seen, [3]);
    }

    #[test]
    fn a_long_way_is_gone_in_steps() {
        let mut ring = Writer::new(256 << 10, 0);
        let all = u64::from(ring.write(0, &[0]))
            + (1..).take_while(|&n| ring.write(0, &[n])).count() as u64;
        let mut seen = Vec::new();
        assert_eq!(ring.read(&mut seen), Read { position: STEP, error: None });
        while ring.consumer < ring.producer {
            assert_eq!(ring.read(&mut seen).error, None);
        }
        assert_eq!(seen, (0..all).collect::<Vec<_>>());
    }

    #[test]
    fn impossible_positions_move_nothing() {
        for (consumer, producer) in [(8, 0), (0, 136), (4, 8), (0, 12), (8, u64::MAX)] {
            let read = records(consumer..producer, 128, |_| 8, |_: [u64; 1]| panic!("a record"));
            let error = Some(RingError::Positions { consumer, producer });
            assert_eq!(read, Read { position: consumer, error });
        }
    }

    proptest! {
        /// For any sequence of writes and reads, also across the ring's end: each record is read
        /// once and in order, unless it was discarded or refused.
        #[test]
        fn records_come_out_as_they_went_in(
            start in (0_u64..1000).prop_map(|word| word * 8),
            turns in prop::collection::vec((0_usize..12, any::<[bool; 12]>()), 0..40),
        ) {
            let mut ring = Writer::new(128, start);
            let (mut expected, mut seen) = (Vec::new(), Vec::new());
            for (turn, (count, discarded)) in turns.into_iter().enumerate() {
                for (nth, &gone) in discarded[..count].iter().enumerate() {
                    let record = (turn * 100 + nth) as u64;
                    let bits = if gone { DISCARDED } else { 0 };
                    if ring.write(bits, &[record]) && !gone {
                        expected.push(record);
                    }
                }
                let read = ring.read(&mut seen);
                prop_assert_eq!(read, Read { position: ring.producer, error: None });
            }
            prop_assert_eq!(seen, expected);
        }

        /// For any bytes: the decoder terminates, and never goes beyond what was written.
        #[test]
        fn garbage_ends(words in prop::collection::vec(any::<u64>(), 16), ahead in 0_u64..17) {
            let word = |position: u64| words[(position % 128 / 8) as usize];
            let span = 64..64 + ahead * 8;
            let read = records(span.clone(), 128, word, |_: [u64; 2]| ());
            let impossible = matches!(read.error, Some(RingError::Positions { .. }));
            prop_assert_eq!(impossible, ahead > 16);
            prop_assert!((span.start..=span.end).contains(&read.position));
        }
    }
}
