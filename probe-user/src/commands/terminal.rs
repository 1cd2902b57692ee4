//! What people see of the work while it goes on: everything on stderr comes through here.
//!
//! Standard output is for results. A bar of progress is drawn on a terminal only, and taken away
//! around each line.

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

/// The bar that is shown.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets how much is told: warnings and notes; with `quiet` errors alone, and more the more
/// `verbose`.
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

/// Whether nobody wants to know how the work goes.
pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Says how the work goes, unless nobody wants to know.
pub fn tell(what: fmt::Arguments<'_>) {
    if !is_quiet() {
        complain(what);
    }
}

/// Says what is wrong. Nobody may read stderr any more, which is no reason to end a measurement.
pub fn complain(what: fmt::Arguments<'_>) {
    let _ = Lines.write_all(format!("{what}\n").as_bytes());
}

/// Runs `write` while no bar is in its way.
pub(super) fn aside<T>(write: impl FnOnce() -> T) -> T {
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Shows this bar from now on, or none. On anything but a terminal a bar is never drawn.
pub(super) fn show(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Stderr, beside the bar.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        aside(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
