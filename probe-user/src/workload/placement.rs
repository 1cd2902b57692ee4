//! Which machine has which CPUs.

use crate::error::{Error, Result};

/// The CPUs of machine 1 (guests, vhost workers, hogs) and of machine 2 (the sink).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Machine 1's.
    pub load: Vec<u32>,
    /// Machine 2's; the same ones where there are too few.
    pub sink: Vec<u32>,
}

impl Placement {
    /// Whether the machines share no CPU, so that a hog on machine 1 takes nothing from machine 2.
    pub fn is_disjoint(&self) -> bool {
        !self.sink.iter().any(|cpu| self.load.contains(cpu))
    }

    /// # Errors
    /// A machine without a CPU.
    pub(super) fn check(&self) -> Result<()> {
        if self.load.is_empty() || self.sink.is_empty() {
            let why = format!("load {:?}, sink {:?}", self.load, self.sink);
            return Err(Error::invalid("placement", why, "Give each machine a CPU"));
        }
        Ok(())
    }
}
