//! Lines that programs log if they are built with the feature `log` (`cargo xtask ebpf --log`).
//! Without it the object has nothing of this.

/// Logs a line: `log!("{} frames", frames)`, with the types and hints of aya-log.
#[cfg(feature = "log")]
macro_rules! log {
    ($($line:tt)+) => {
        // A placeholder for the context that aya-log requires and does not use.
        aya_log_ebpf::info!((), $($line)+)
    };
}

/// Logs nothing; its arguments count as used, but are not evaluated.
#[cfg(not(feature = "log"))]
macro_rules! log {
    ($format:literal $(, $argument:expr)* $(,)?) => {
        if false {
            let _ = ($(&$argument,)*);
        }
    };
}
