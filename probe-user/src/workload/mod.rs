//! The load: guests on vhost devices, the network between them and the sink, hogs.
//!
//! [`Stage::build`] makes devices and network, [`Stage::start`] sets the guests to work, [`Load::stop`] ends that and
//! [`Stage::close`] takes everything down. A stage serves any number of loads in turn.

pub mod blast;
pub mod frame;
pub mod guest;
pub mod hogs;
mod load;
pub mod network;
mod placement;
pub mod scenarios;
pub mod sink;
mod stage;
pub mod vhost;

pub use blast::Offered;
pub use hogs::Hogs;
pub use load::Load;
pub use placement::Placement;
pub use stage::Stage;
