//! A fuzzer that needs only this workspace: inputs of the corpus, changed at random. It does not
//! use coverage, so libFuzzer finds more; but it runs anywhere, and a run can be repeated by its
//! seed.

use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::corpus;

/// Changes inputs of a target.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    draws: Xoshiro256PlusPlus,
}

impl Mutator {
    /// For this target's corpus; the seed determines everything that follows.
    ///
    /// # Errors
    /// The corpus cannot be read.
    pub fn new(target: &str, seed: u64) -> anyhow::Result<Self> {
        let corpus: Vec<_> = corpus::inputs(target)?.into_iter().map(|(_, bytes)| bytes).collect();
        anyhow::ensure!(!corpus.is_empty(), "{target} has no corpus");
        Ok(Self { corpus, draws: Xoshiro256PlusPlus::seed_from_u64(seed) })
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut bytes = self.any().to_vec();
        for _ in 0..self.draws.random_range(1..=6) {
            self.change(&mut bytes);
        }
        bytes
    }

    fn any(&mut self) -> &[u8] {
        let which = self.draws.random_range(0..self.corpus.len());
        &self.corpus[which]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let place = self.draws.random_range(0..=bytes.len());
        let end = (place + self.draws.random_range(1..=8_usize)).min(bytes.len());
        match self.draws.random_range(0..6) {
            0 => drop(bytes.drain(place..end)),
            1 => {
                let copy = bytes[place..end].to_vec();
                drop(bytes.splice(place..place, copy));
            }
            2 => bytes.insert(place, self.draws.random()),
            3 => {
                // Characters of numbers.
                let digit = b"0123456789.-e"[self.draws.random_range(0..13)];
                bytes.splice(place..end.min(place + 1), [digit]);
            }
            4 => {
                let other = self.any().to_vec();
                let from = self.draws.random_range(0..=other.len());
                let to = (from + self.draws.random_range(1..=24_usize)).min(other.len());
                drop(bytes.splice(place..end, other[from..to].iter().copied()));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << self.draws.random_range(0..8);
                }
            }
        }
    }
}
