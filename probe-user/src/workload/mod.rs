//! The load: guests on vhost devices, the network between them and the sink, hogs.

pub mod scenarios;
pub mod vhost;
