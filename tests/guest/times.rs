//! Which tests took long, for people: nothing is judged by it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many are told.
const TOLD: usize = 12;

static TOOK: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Notes the time of one test when it is dropped.
pub(crate) struct Stopwatch {
    name: String,
    started: Instant,
}

/// Starts the time of the test `name`.
pub(crate) fn start(name: String) -> Stopwatch {
    Stopwatch { name, started: Instant::now() }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let took = (self.started.elapsed(), std::mem::take(&mut self.name));
        TOOK.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }
}

/// Prints the longest, if there were several.
pub(crate) fn print() {
    let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
    if took.len() < 2 {
        return;
    }
    took.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let longest = took.iter().take(TOLD);
    let longest: Vec<_> =
        longest.map(|(time, name)| format!("{name} {:.0} s", time.as_secs_f64())).collect();
    println!("longest: {}", longest.join(", "));
}
