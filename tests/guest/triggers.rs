//! Calls of the functions that tests trace if no load is needed: each makes exactly one.

use std::fs::{self, File};

use anyhow::{Context as _, Result};

/// Calls `vhost_net_open` of module vhost_net.
pub(crate) fn call_open_vhost() -> Result<()> {
    File::open("/dev/vhost-net").map(drop).context("/dev/vhost-net")
}

/// Calls `tun_chr_open` of module tun.
pub(crate) fn call_open_tun() -> Result<()> {
    File::open("/dev/net/tun").map(drop).context("/dev/net/tun")
}

/// Calls `comm_write` of the kernel itself.
pub(crate) fn call_set_name() -> Result<()> {
    fs::write("/proc/self/comm", "guest").context("/proc/self/comm")
}

/// Hits the tracepoint `oom:oom_score_adj_update`, which nothing else hits.
pub(crate) fn hit_oom_tracepoint() -> Result<()> {
    fs::write("/proc/self/oom_score_adj", "0").context("/proc/self/oom_score_adj")
}
