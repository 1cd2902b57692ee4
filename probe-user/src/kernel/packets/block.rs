//! One block of a `TPACKET_V3` ring: a pure function of its bytes.
//!
//! Layout: `struct tpacket_block_desc`, `struct tpacket3_hdr` (include/uapi/linux/if_packet.h), in
//! the machine's byte order. Each frame's header has the position of the next one; the last one's
//! is ignored.

use std::fmt;

/// `sizeof(struct tpacket_block_desc)`.
pub const BLOCK_HEADER: usize = 48;
/// `sizeof(struct tpacket3_hdr)`.
pub const FRAME_HEADER: usize = 48;

/// `TPACKET_V3` in block headers.
const VERSION: u32 = 2;

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockError {
    /// It is shorter than its header.
    Short {
        /// Its length.
        length: usize,
    },
    /// It has another version.
    Version(u32),
    /// It claims to be longer than possible, or shorter than its header.
    Length(u32),
    /// A frame's header is not inside the block, or not after the preceding frame.
    Place {
        /// Number of the frame in its block.
        frame: u32,
        /// Where its header should be.
        at: usize,
    },
    /// A frame's bytes are not inside the block.
    Bytes {
        /// Number of the frame in its block.
        frame: u32,
    },
    /// A time of day with a second or more in nanoseconds.
    Time {
        /// Number of the frame in its block.
        frame: u32,
        /// The nanoseconds.
        nanos: u32,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { length } => write!(f, "a block of {length} bytes has no header"),
            Self::Version(version) => write!(f, "block version {version} is not {VERSION}"),
            Self::Length(length) => write!(f, "a block claims to have {length} bytes"),
            Self::Place { frame, at } => write!(f, "frame {frame}: no header is possible at {at}"),
            Self::Bytes { frame } => write!(f, "frame {frame}: its bytes reach beyond the block"),
            Self::Time { frame, nanos } => write!(f, "frame {frame}: {nanos} ns in a second"),
        }
    }
}

/// A block's frames.
#[derive(Debug, Clone)]
pub struct Block<'a> {
    /// The part of the block that is in use.
    bytes: &'a [u8],
    /// Number of frames that it claims to have.
    frames: u32,
    /// Number of frames returned so far.
    given: u32,
    /// Position of the next frame's header.
    at: usize,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `CLOCK_REALTIME` in ns at which the kernel saw it.
    pub at: u64,
    /// Its length on the wire.
    pub length: u32,
    /// The captured part, from its Ethernet header on.
    pub bytes: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads a block's header.
    ///
    /// # Errors
    /// It is not a valid block.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BlockError> {
        let header = bytes.get(..BLOCK_HEADER).ok_or(BlockError::Short { length: bytes.len() })?;
        let word = |at| word(header, at).unwrap_or_default();
        let (version, frames, first, length) = (word(0), word(12), word(16), word(20));
        if version != VERSION {
            return Err(BlockError::Version(version));
        }
        let used = usize::try_from(length).ok().filter(|&used| used >= BLOCK_HEADER);
        let bytes = used.and_then(|used| bytes.get(..used)).ok_or(BlockError::Length(length))?;
        let at = first as usize;
        if frames > 0 && at < BLOCK_HEADER {
            return Err(BlockError::Place { frame: 0, at });
        }
        Ok(Self { bytes, frames, given: 0, at })
    }

    /// Number of frames that it claims to have.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes in use, including headers.
    pub fn used(&self) -> usize {
        self.bytes.len()
    }

    fn frame(&self) -> Result<(Frame<'a>, usize), BlockError> {
        let (frame, at) = (self.given, self.at);
        let place = BlockError::Place { frame, at };
        let header = self.bytes.get(at..).and_then(|rest| rest.get(..FRAME_HEADER)).ok_or(place)?;
        let word = |at| word(header, at).unwrap_or_default();
        let (next, secs, nanos, kept, length) = (word(0), word(4), word(8), word(12), word(16));
        let mac = usize::from(u16::from_ne_bytes([header[24], header[25]]));
        if nanos >= 1_000_000_000 {
            return Err(BlockError::Time { frame, nanos });
        }
        let rest = &self.bytes[at..];
        let bytes = rest.get(mac..).and_then(|rest| rest.get(..kept as usize));
        let bytes = bytes.filter(|_| mac >= FRAME_HEADER).ok_or(BlockError::Bytes { frame })?;
        let at = u64::from(secs) * 1_000_000_000 + u64::from(nanos);
        Ok((Frame { at, length, bytes }, next as usize))
    }
}

impl<'a> Iterator for Block<'a> {
    type Item = Result<Frame<'a>, BlockError>;

    /// The frames in order; an error ends the block.
    fn next(&mut self) -> Option<Self::Item> {
        if self.given == self.frames {
            return None;
        }
        let read = self.frame();
        let step = read.as_ref().map_or(0, |(_, next)| *next);
        self.given += 1;
        if read.is_err() {
            self.frames = self.given;
        } else if self.given < self.frames && step < FRAME_HEADER {
            // Each step advances by at least a header, so the walk ends with the block.
            self.frames = self.given;
            return Some(Err(BlockError::Place { frame: self.given, at: self.at + step }));
        }
        self.at = self.at.saturating_add(step);
        Some(read.map(|(frame, _)| frame))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(bytes: &mut [u8], at: usize, word: u32) {
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }

    /// As written by prb_open_block, prb_fill_curr_block and prb_close_block.
    fn block(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_HEADER];
        for (place, (at, data)) in frames.iter().enumerate() {
            let start = bytes.len();
            let mac = 82;
            let length = (mac + data.len()).next_multiple_of(8);
            bytes.resize(start + length, 0);
            let last = place + 1 == frames.len();
            put(&mut bytes, start, if last { 0 } else { length as u32 });
            put(&mut bytes, start + 4, (at / 1_000_000_000) as u32);
            put(&mut bytes, start + 8, (at % 1_000_000_000) as u32);
            put(&mut bytes, start + 12, data.len() as u32);
            put(&mut bytes, start + 16, data.len() as u32 + 7);
            bytes[start + 24..start + 26].copy_from_slice(&(mac as u16).to_ne_bytes());
            bytes[start + mac..start + mac + data.len()].copy_from_slice(data);
        }
        let used = bytes.len() as u32;
        put(&mut bytes, 0, VERSION);
        put(&mut bytes, 8, 1);
        put(&mut bytes, 12, frames.len() as u32);
        put(&mut bytes, 16, BLOCK_HEADER as u32);
        put(&mut bytes, 20, used);
        bytes.resize(bytes.len() + 100, 0xee);
        bytes
    }

    fn some_frames() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
        let time = 0..4_000_000_000_000_000_000_u64;
        prop::collection::vec((time, prop::collection::vec(any::<u8>(), 0..64)), 0..8)
    }

    proptest! {
        #[test]
        fn what_the_kernel_writes_is_read_back(frames in some_frames()) {
            let bytes = block(&frames);
            let block = Block::parse(&bytes).unwrap();
            prop_assert_eq!(block.frames() as usize, frames.len());
            let read: Vec<_> = block.map(|frame| frame.unwrap()).collect();
            prop_assert_eq!(read.len(), frames.len());
            for (read, (at, data)) in read.iter().zip(&frames) {
                prop_assert_eq!((read.at, read.bytes), (*at, &data[..]));
                prop_assert_eq!(read.length as usize, data.len() + 7);
            }
        }

        #[test]
        fn damage_is_an_error_and_never_an_endless_walk(
            frames in some_frames(),
            damage in prop::collection::vec((0..600_usize, any::<u32>()), 1..6),
            cut in 0..1000_usize,
        ) {
            let mut bytes = block(&frames);
            for (at, word) in damage {
                if at + 4 <= bytes.len() {
                    put(&mut bytes, at, word);
                }
            }
            bytes.truncate(cut);
            if let Ok(block) = Block::parse(&bytes) {
                let most = block.used() / FRAME_HEADER + 1;
                prop_assert!(block.count() <= most);
            }
        }
    }

    #[test]
    fn each_damage_has_its_name() {
        let good = block(&[(5, vec![1; 20]), (6, vec![2; 20])]);
        let first = |at: usize, word: u32| {
            let mut bytes = good.clone();
            put(&mut bytes, at, word);
            match Block::parse(&bytes) {
                Ok(block) => block.filter_map(Result::err).next().unwrap(),
                Err(error) => error,
            }
        };
        assert_eq!(first(0, 1), BlockError::Version(1));
        assert_eq!(first(20, 1 << 20), BlockError::Length(1 << 20));
        assert_eq!(first(20, 40), BlockError::Length(40));
        assert_eq!(first(16, 8), BlockError::Place { frame: 0, at: 8 });
        assert_eq!(first(48, 0), BlockError::Place { frame: 1, at: 48 });
        assert_eq!(first(48, 4000), BlockError::Place { frame: 1, at: 4048 });
        assert_eq!(first(48 + 8, 1_000_000_000).to_string(), "frame 0: 1000000000 ns in a second");
        assert_eq!(first(48 + 12, 4000), BlockError::Bytes { frame: 0 });
        assert_eq!(first(48 + 24, 3), BlockError::Bytes { frame: 0 });
        assert_eq!(first(12, 3), BlockError::Place { frame: 2, at: 152 });
        assert_eq!(Block::parse(&good[..40]).unwrap_err(), BlockError::Short { length: 40 });
    }

    #[test]
    fn frames_before_the_damage_are_given() {
        let mut bytes = block(&[(5, vec![1; 20]), (6, vec![2; 20])]);
        put(&mut bytes, 48 + 104 + 8, u32::MAX);
        let read: Vec<_> = Block::parse(&bytes).unwrap().collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].is_ok() && read[1].is_err());
    }
}
