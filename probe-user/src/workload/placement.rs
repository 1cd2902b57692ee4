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
    /// Parts the `online` CPUs: the first `load_cpus` to machine 1, the next one to machine 2. Where there are too few,
    /// the machines share the last one.
    ///
    /// # Errors
    /// No CPU is online, or `load_cpus` is 0.
    pub fn choose(load_cpus: usize, online: &[u32]) -> Result<Self> {
        let load = online[..load_cpus.min(online.len())].to_vec();
        let sink = online.get(load.len()).or(online.last()).copied().into_iter().collect();
        let placement = Self { load, sink };
        placement.check().map(|()| placement)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_share_a_cpu_only_where_there_is_none_left() {
        let placed = |load_cpus, online: &[u32]| {
            let Placement { load, sink } = Placement::choose(load_cpus, online).unwrap();
            (load, sink)
        };
        assert_eq!(placed(1, &[0, 1, 2]), (vec![0], vec![1]));
        assert_eq!(placed(2, &[0, 3, 5]), (vec![0, 3], vec![5]));
        assert_eq!(placed(2, &[0, 1]), (vec![0, 1], vec![1]));
        assert_eq!(placed(1, &[0]), (vec![0], vec![0]));
        assert!(Placement::choose(1, &[]).is_err());
        assert!(Placement::choose(0, &[0]).is_err());
    }
}
