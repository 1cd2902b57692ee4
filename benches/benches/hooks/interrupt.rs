//! Ctrl-C ends the running bench, and what is attached is detached on the way out.

use std::{
    any::Any,
    panic,
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use probe_core::error::Result;
use probe_user::{cli::Status, commands};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The user wants to end. Criterion can leave a bench only by unwinding.
struct Interrupted;

/// From now on SIGINT, SIGTERM and SIGHUP only set a flag.
///
/// # Errors
/// The handlers cannot be set.
pub(crate) fn listen() -> Result<()> {
    let flag = commands::on_interrupt()?;
    ASKED.get_or_init(|| flag);
    Ok(())
}

/// Does not return if the user wants to end.
pub(crate) fn heed() {
    if ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed)) {
        panic::resume_unwind(Box::new(Interrupted));
    }
}

/// How the process ends after that.
pub(crate) fn status(left: Box<dyn Any + Send>) -> ExitCode {
    if !left.is::<Interrupted>() {
        panic::resume_unwind(left);
    }
    eprintln!("interrupted");
    Status::Interrupted.into()
}
