//! Runs several guests, a few at a time.

use super::{Machine, Outcome, Tools};
use crate::interrupt;
use anyhow::Result;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many machines this host can run side by side, unless they need it for themselves.
pub fn carried() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

/// Runs each machine, `at_once` side by side, and calls `ended` with its index when it ends. After
/// Ctrl-C it starts no further machine.
pub fn run_all(
    machines: &[Machine],
    at_once: usize,
    tools: &Tools,
    ended: impl Fn(usize, &Outcome) + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    // A guest ends with the thread that started it, so each thread waits for its guests.
    let work = || -> Result<()> {
        while !interrupt::requested() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(machine) = machines.get(index) else { break };
            ended(index, &machine.run(tools)?);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|why| resume_unwind(why)))
    })
}
