//! What users see while work goes on: all output to stderr goes through here.
//!
//! Standard output is for results. A progress bar is drawn only on a terminal, and hidden while a
//! line is written.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use env_logger::{Builder, Target};
use indicatif::ProgressBar;
use log::LevelFilter;

static QUIET: AtomicBool = AtomicBool::new(false);

/// The bar on display.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets how much is printed: warnings and notes by default, only errors with `quiet`, and more with
/// each `verbose`.
pub fn begin(quiet: bool, verbose: u8) {
    QUIET.store(quiet, Ordering::Relaxed);
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (_, 0) => LevelFilter::Warn,
        (_, 1) => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    let lines = Target::Pipe(Box::new(Lines));
    Builder::new().filter_level(level).format_timestamp(None).target(lines).init();
}

/// Whether the user asked not to see progress.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints progress, unless the user asked not to see it.
pub fn tell(what: fmt::Arguments<'_>) {
    if !is_quiet() {
        complain(what);
    }
}

/// Prints a problem. If nobody reads stderr any more, a measurement still continues.
pub fn complain(what: fmt::Arguments<'_>) {
    let _ = Lines.write_all(format!("{what}\n").as_bytes());
}

/// Runs `write` while the bar is hidden.
pub(super) fn aside<T>(write: impl FnOnce() -> T) -> T {
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Shows this bar from now on, or none. A bar is only drawn on a terminal.
pub(super) fn show(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Stderr, around the bar.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        aside(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
