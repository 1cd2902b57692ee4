//! Lines that programs log, where they are built with the feature `log` (`cargo xtask ebpf --log`).
//! Without it nothing of them is in the object.

/// Logs a line: `log!("{} frames", frames)`, with the types and hints of aya-log.
#[cfg(feature = "log")]
macro_rules! log {
    ($($line:tt)+) => {
        // The place of a context, which aya-log asks for and does not use.
        aya_log_ebpf::info!((), $($line)+)
    };
}

/// Logs nothing; its arguments count as used, and none is computed.
#[cfg(not(feature = "log"))]
macro_rules! log {
    ($format:literal $(, $argument:expr)* $(,)?) => {
        if false {
            let _ = ($(&$argument,)*);
        }
    };
}
