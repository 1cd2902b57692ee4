//! A packet socket on one interface, with a ring that counts everything that it loses.
//!
//! It takes only what the interface receives: for the kernel, a frame that a guest sends through
//! its TAP is received from that interface. A frame that finds no free block is dropped and counted
//! by the socket. Nothing else can be lost: `tpacket_rcv` counts each frame that it gets from
//! `__netif_receive_skb_core` as kept or as dropped.

use std::{
    thread,
    time::{Duration, Instant},
};

use probe_core::error::{Error, Result};

use super::block::{Block, Frame};
use crate::sys::packet::{RingShape, Socket, Statistics};

/// Receives the frames.
pub trait Taker {
    /// One frame, in the ring.
    fn frame(&mut self, frame: &Frame<'_>);

    /// All frames of a block have been passed.
    ///
    /// # Errors
    /// Its own errors.
    fn end_of_block(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The socket.
#[derive(Debug)]
pub struct Listener {
    name: String,
    interface: u32,
    socket: Socket,
    retire: Duration,
    tally: Tally,
    statistics: Statistics,
}

/// What was read from the ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Frames.
    pub frames: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of blocks that were in use.
    pub bytes: u64,
}

impl Listener {
    /// Opens a socket for the interface `name` of the calling thread's network namespace; it does
    /// not receive yet.
    ///
    /// # Errors
    /// As [`Socket::open`]; there is no such interface.
    pub fn open(name: &str, shape: &RingShape) -> Result<Self> {
        let socket = Socket::open(shape)?;
        let interface = socket.interface(name)?;
        let retire = Duration::from_millis(shape.retire_ms.into());
        let (tally, statistics) = (Tally::default(), Statistics::default());
        Ok(Self { name: name.to_owned(), interface, socket, retire, tally, statistics })
    }

    /// Receives every frame from now on.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn start(&self) -> Result<()> {
        self.socket.listen(self.interface)
    }

    /// Stops receiving.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn stop(&mut self) -> Result<()> {
        self.socket.ignore(self.interface)?;
        self.statistics = self.socket.statistics()?;
        Ok(())
    }

    /// Passes the ring's content to `taker`, at most once around, so that a faster writer cannot
    /// keep the reader here. Continues after a damaged block, and reports the first error.
    ///
    /// # Errors
    /// A block is damaged, or the taker failed.
    pub fn drain(&mut self, taker: &mut impl Taker) -> Result<()> {
        let mut outcome = Ok(());
        for _ in 0..self.socket.blocks() {
            let Some(bytes) = self.socket.block() else { break };
            self.tally.blocks += 1;
            let name = &self.name;
            let damaged = |e| Error::malformed(format!("packet ring of {name}"), format!("{e}"));
            match Block::parse(bytes) {
                Ok(block) => {
                    self.tally.bytes += block.used() as u64;
                    for read in block {
                        match read {
                            Ok(frame) => {
                                self.tally.frames += 1;
                                taker.frame(&frame);
                            }
                            Err(e) => outcome = outcome.and(Err(damaged(e))),
                        }
                    }
                }
                Err(e) => outcome = outcome.and(Err(damaged(e))),
            }
            outcome = outcome.and(taker.end_of_block());
            self.socket.give_back();
        }
        outcome
    }

    /// The interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was read so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Number of frames that the kernel kept until [`Listener::stop`], by its own 32-bit count.
    pub fn kept(&self) -> u32 {
        self.statistics.frames.wrapping_sub(self.statistics.dropped)
    }

    /// The kernel's counts until [`Listener::stop`].
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Bytes of the ring.
    pub fn ring_bytes(&self) -> u64 {
        self.socket.ring_bytes()
    }

    /// After it is stopped: waits until the block that was last written is handed over, which its
    /// timer does, so that everything can be drained.
    ///
    /// # Errors
    /// The kernel does not hand over what it claims to have.
    pub fn settle(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            // The kernel's count has this many bits.
            let seen = (self.tally.frames + self.waiting()) as u32;
            let kept = self.kept();
            if seen == kept {
                return Ok(());
            }
            if began.elapsed() > 100 * self.retire + Duration::from_secs(10) {
                return Err(Error::Inconsistent(format!(
                    "{}: the kernel kept {kept} frames, but {seen} were read from the ring",
                    self.name
                )));
            }
            thread::sleep(self.retire / 8);
        }
    }

    /// Frames in blocks that were handed over and not yet read.
    fn waiting(&self) -> u64 {
        let handed_over =
            (0..self.socket.blocks()).map_while(|ahead| self.socket.block_ahead(ahead));
        handed_over
            .filter_map(|bytes| Block::parse(bytes).ok())
            .map(|b| u64::from(b.frames()))
            .sum()
    }
}
