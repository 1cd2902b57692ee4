//! What people are told while something is fetched or boots.

use std::fmt;
use std::sync::OnceLock;

static THROUGH: OnceLock<fn(fmt::Arguments<'_>)> = OnceLock::new();

/// From now on lines go through `tell`; to stderr unless this is called.
pub fn through(tell: fn(fmt::Arguments<'_>)) {
    let _ = THROUGH.set(tell);
}

/// Tells a line.
pub fn tell(line: fmt::Arguments<'_>) {
    THROUGH.get().copied().unwrap_or(|line| eprintln!("{line}"))(line);
}
