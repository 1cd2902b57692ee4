//! The load: guests on vhost devices, the network between them and the sink, hogs.
//!
//! [`Testbed::build`] creates devices and network, [`Testbed::start`] starts the guests' load,
//! [`Load::stop`] ends that and [`Testbed::close`] takes everything down. A testbed serves any
//! number of loads, one after the other.

pub mod addresses;
pub mod blast;
mod bridge;
pub mod existing;
pub mod fleet;
pub mod hogs;
pub mod iperf;
mod kvm;
pub mod network;
mod orders;
mod placement;
mod process_group;
pub mod scenarios;
mod testbed;
pub mod vhost;

pub use fleet::Load;
pub use hogs::Hogs;
pub(crate) use kvm::OVERHEAD_MIB;
pub use orders::{Offered, Orders};
pub use placement::{Placement, RequestedCpus};
pub use testbed::Testbed;

pub use probe_core::model::subject::{CALLED_PER_KICK, HIT_PER_FRAME};

/// Whether this host has what a load needs.
///
/// # Errors
/// What is missing, and how to get it.
pub fn detect() -> probe_core::error::Result<()> {
    vhost::device::detect().and_then(|()| crate::sys::tun::detect())
}
