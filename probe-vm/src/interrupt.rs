//! Ctrl-C sets a flag; long jobs check it.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on this flag says whether the user wants the work to end.
pub fn by(flag: Arc<AtomicBool>) {
    let _ = REQUESTED.set(flag);
}

/// From now on SIGINT and SIGTERM only set a flag.
pub fn listen() -> Result<()> {
    let flag = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .with_context(|| format!("cannot handle signal {signal}"))?;
    }
    by(flag);
    Ok(())
}

/// Whether the user wants the work to end.
pub fn requested() -> bool {
    REQUESTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}
