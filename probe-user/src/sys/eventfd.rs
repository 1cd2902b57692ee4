//! Event counters between a driver and its vhost device: kicks in one direction, calls in the
//! other.
#![expect(unsafe_code, reason = "vmm-sys-util's EventFd lends its descriptor only as a number")]

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// A non-blocking eventfd(2).
#[derive(Debug)]
pub struct Event(EventFd);

impl Event {
    /// A counter at zero.
    ///
    /// # Errors
    /// The errno of eventfd(2): no descriptors left.
    pub fn new() -> io::Result<Self> {
        EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK).map(Self)
    }

    /// Adds one, which wakes pollers.
    ///
    /// # Errors
    /// The errno of write(2).
    pub fn signal(&self) -> io::Result<()> {
        self.0.write(1)
    }

    /// Resets it to zero; returns whether it was above.
    ///
    /// # Errors
    /// The errno of read(2), apart from `EAGAIN`, which means that it was zero.
    pub fn clear(&self) -> io::Result<bool> {
        match self.0.read() {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The type that the vhost crate takes.
    pub fn for_vhost(&self) -> &EventFd {
        &self.0
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the EventFd owns the descriptor and closes it only when it is dropped; the
        // returned borrow cannot outlive `self`, which owns the EventFd and never gives it away.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_add_up_and_clear_at_once() {
        let event = Event::new().unwrap();
        assert!(!event.clear().unwrap());
        event.signal().unwrap();
        event.signal().unwrap();
        assert!(event.clear().unwrap());
        assert!(!event.clear().unwrap());
    }
}
