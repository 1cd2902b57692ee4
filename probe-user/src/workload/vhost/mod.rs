//! The user-space virtio driver on /dev/vhost-net.

pub mod ring;

#[cfg(test)]
mod oracle_tests;
