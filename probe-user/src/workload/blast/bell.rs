//! Tells a guest's thread what to do next.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use probe_core::error::{Error, Result};

use super::Offered;
use crate::sys::eventfd::Event;

/// What a guest must do until the bell rings again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Task {
    /// Send.
    Work(Offered),
    /// Receive, and send nothing.
    Rest,
    /// Wait until what is in flight has arrived, and end.
    End,
}

/// One guest's bell: a caller that sets a task rings it, and the guest's thread, asleep or not,
/// notices.
#[derive(Debug)]
pub struct Bell {
    rung: AtomicBool,
    task: Mutex<Task>,
    wake: Event,
}

impl Bell {
    /// Creates a bell with the first task.
    ///
    /// # Errors
    /// The errno of eventfd(2).
    pub fn new(task: Task) -> Result<Self> {
        let wake = Event::new().map_err(|e| Error::call("eventfd", "the load", e))?;
        Ok(Self { rung: AtomicBool::new(false), task: Mutex::new(task), wake })
    }

    /// Sets another task; setting the same one again wakes nobody.
    ///
    /// # Errors
    /// The errno of write(2).
    pub fn ring(&self, task: Task) -> Result<()> {
        let mut place = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if *place == task {
            return Ok(());
        }
        *place = task;
        self.rung.store(true, Ordering::Relaxed);
        self.wake.signal().map_err(|e| Error::call("write", "the load's eventfd", e))
    }

    /// Whether there is a task that was not taken yet.
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Takes the task; the bell is silent until it rings again.
    ///
    /// # Errors
    /// The errno of read(2).
    pub fn answer(&self) -> Result<Task> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        self.rung.store(false, Ordering::Relaxed);
        self.wake.clear().map_err(|e| Error::call("read", "the load's eventfd", e))?;
        Ok(*task)
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_task_counts_and_an_answered_bell_is_silent() {
        let bell = Bell::new(Task::Rest).unwrap();
        bell.ring(Task::Rest).unwrap();
        assert!(!bell.is_rung());
        bell.ring(Task::Work(Offered::Saturated { batch: 1 })).unwrap();
        bell.ring(Task::End).unwrap();
        assert!(bell.is_rung());
        assert_eq!(bell.answer().unwrap(), Task::End);
        assert!(!bell.is_rung());
    }
}
