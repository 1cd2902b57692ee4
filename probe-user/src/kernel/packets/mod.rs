//! Frames from packet sockets, with the time at which the kernel saw each.

pub mod block;
pub mod listener;
pub mod realtime;
