//! Messages to the user while something is fetched or boots.

use std::fmt;
use std::sync::OnceLock;

static THROUGH: OnceLock<fn(fmt::Arguments<'_>)> = OnceLock::new();

/// From now on lines go to `tell`; by default they go to stderr.
pub fn through(tell: fn(fmt::Arguments<'_>)) {
    let _ = THROUGH.set(tell);
}

/// Prints a line.
pub fn tell(line: fmt::Arguments<'_>) {
    THROUGH.get().copied().unwrap_or(|line| eprintln!("{line}"))(line);
}
