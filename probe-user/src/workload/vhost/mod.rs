//! The user-space virtio driver on /dev/vhost-net.

pub mod device;
pub mod queue;
pub mod relay;
pub mod ring;
pub(crate) mod worker;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod relay_tests;
