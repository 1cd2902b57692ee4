//! The CPUs of each machine.

use probe_core::{
    error::{Error, Result},
    model::{campaign::Cpus, cpu_list::CpuList, scenario::GuestKind},
};

use crate::kernel::cpus;

/// The CPUs of the device under test (guests, vhost workers, hogs), of the sink, and of a method's
/// own reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// CPUs of the device under test.
    pub load: Vec<u32>,
    /// CPUs of the sink, and of the reader at the bin edges; shared with the device under test if
    /// there are too few.
    pub sink: Vec<u32>,
    /// CPUs of a method's reader, a thread or an external program.
    pub reader: Vec<u32>,
}

/// The CPUs that the user named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedCpus {
    /// `--load-cpus`.
    pub load: Option<CpuList>,
    /// `--sink-cpu`.
    pub sink: Option<u32>,
    /// `--reader-cpus`.
    pub reader: Option<CpuList>,
}

impl Placement {
    /// `load` for the device under test and `sink` for the sink; readers run on the device under
    /// test.
    pub fn of(load: Vec<u32>, sink: Vec<u32>) -> Self {
        Self { reader: load.clone(), load, sink }
    }

    /// Uses the named CPUs, and `allowed` CPUs for the rest: the first `load_cpus` for the device
    /// under test, the next one for the sink. If there are too few, the machines share the last
    /// one. Readers run on the device under test.
    ///
    /// # Errors
    /// No CPU is allowed, or `load_cpus` is 0; what is named for one machine is named for the other
    /// as well.
    pub fn choose(load_cpus: usize, named: &RequestedCpus, allowed: &[u32]) -> Result<Self> {
        let allowed = CpuList::from(allowed.to_vec());
        // Named CPUs are reserved for their purpose, as long as there are others.
        let or_all = |free: CpuList| if free.is_empty() { allowed.clone() } else { free };
        let load = named.load.as_ref().map_or_else(
            || {
                let free = or_all(allowed.without(named.sink.as_slice()));
                free[..load_cpus.min(free.len())].to_vec()
            },
            |load| load.to_vec(),
        );
        let free = allowed.without(&load);
        let of_readers = named.reader.as_deref().unwrap_or_default();
        let sink = named.sink.or_else(|| free.without(of_readers).first().copied());
        let sink = sink.or(free.first().copied()).or(load.last().copied()).into_iter().collect();
        let reader = named.reader.as_ref().map_or_else(|| load.clone(), |reader| reader.to_vec());
        let placement = Self { load, sink, reader };
        placement.check()?;
        named.check(&placement)?;
        Ok(placement)
    }

    /// Whether the machines share no CPU, so that a hog on the device under test takes no time from
    /// the sink.
    pub fn is_disjoint(&self) -> bool {
        !self.sink.iter().any(|cpu| self.load.contains(cpu))
    }

    /// Checks that all of them can be used now.
    ///
    /// # Errors
    /// One is offline, excluded by the cpuset, or missing.
    pub fn is_there(&self) -> Result<()> {
        cpus::check(&[
            ("the load's CPUs (--load-cpus)", &self.load),
            ("the sink's CPU (--sink-cpu)", &self.sink),
            ("the readers' CPUs (--reader-cpus)", &self.reader),
        ])
    }

    /// As recorded in the result. Guests that already run stay where they are.
    pub fn record(&self, guests: GuestKind) -> Cpus {
        let list = |cpus: &Vec<u32>| CpuList::from(cpus.clone());
        let load = match guests {
            GuestKind::Existing => CpuList::default(),
            GuestKind::Blast | GuestKind::Bridge | GuestKind::Kvm => list(&self.load),
        };
        Cpus { load, sink: list(&self.sink), reader: list(&self.reader) }
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

impl RequestedCpus {
    /// Nobody names a CPU for two who disturb one another. Where there are too few CPUs, who names
    /// none shares one.
    fn check(&self, placement: &Placement) -> Result<()> {
        let list = |cpus: &[u32]| CpuList::from(cpus.to_vec());
        let Placement { load, sink, reader } = placement;
        if let (Some(of_load), Some(cpu)) = (&self.load, self.sink)
            && of_load.contains(&cpu)
        {
            return Err(Error::invalid(
                format!("--load-cpus {of_load} --sink-cpu {cpu}"),
                format!("guests and hogs on CPU {cpu} would take the sink's time"),
                "Name another CPU for the sink, or leave --sink-cpu out",
            ));
        }
        let of_both = list(reader).among(sink);
        if let (Some(of_reader), true, true) =
            (&self.reader, placement.is_disjoint(), !of_both.is_empty())
        {
            let others = match list(load).is_empty() {
                true => String::new(),
                false => format!(", such as the load's, {}", list(load)),
            };
            return Err(Error::invalid(
                format!("--reader-cpus {of_reader}"),
                format!(
                    "a reader on CPU {of_both} would delay the sink and the readings at bin edges"
                ),
                format!("Name others{others}, or another CPU for the sink (--sink-cpu)"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(load: &str, sink: Option<u32>, reader: &str) -> RequestedCpus {
        RequestedCpus { load: load.parse().ok(), sink, reader: reader.parse().ok() }
    }

    #[test]
    fn the_machines_share_a_cpu_only_where_there_is_none_left() {
        let placed = |load_cpus, allowed: &[u32]| {
            let chosen = Placement::choose(load_cpus, &RequestedCpus::default(), allowed).unwrap();
            assert_eq!(chosen.reader, chosen.load);
            (chosen.load, chosen.sink)
        };
        assert_eq!(placed(1, &[0, 1, 2]), (vec![0], vec![1]));
        assert_eq!(placed(2, &[0, 3, 5]), (vec![0, 3], vec![5]));
        assert_eq!(placed(2, &[0, 1]), (vec![0, 1], vec![1]));
        assert_eq!(placed(1, &[0]), (vec![0], vec![0]));
        assert!(Placement::choose(1, &RequestedCpus::default(), &[]).is_err());
        assert!(Placement::choose(0, &RequestedCpus::default(), &[0]).is_err());
    }

    #[test]
    fn what_is_named_is_taken_and_the_rest_lies_beside_it() {
        let placed = |named: &RequestedCpus| {
            let Placement { load, sink, reader } = Placement::choose(2, named, &[1, 2, 3]).unwrap();
            (load, sink, reader)
        };
        assert_eq!(
            placed(&named("2-5", Some(6), "")),
            (vec![2, 3, 4, 5], vec![6], vec![2, 3, 4, 5])
        );
        assert_eq!(placed(&named("1", None, "")), (vec![1], vec![2], vec![1]));
        assert_eq!(placed(&named("", Some(1), "")), (vec![2, 3], vec![1], vec![2, 3]));
        // The sink avoids the reader's CPU.
        assert_eq!(placed(&named("1", None, "2")), (vec![1], vec![3], vec![2]));
        // Too few: shared, as without names.
        assert_eq!(placed(&named("1-3", None, "")), (vec![1, 2, 3], vec![3], vec![1, 2, 3]));
    }

    #[test]
    fn what_is_named_twice_is_refused() {
        let refused = |named: &RequestedCpus| {
            Placement::choose(1, named, &[0, 1, 2]).unwrap_err().to_string()
        };
        let error = refused(&named("0-1", Some(1), ""));
        assert!(error.starts_with("--load-cpus 0-1 --sink-cpu 1: "), "{error}");
        let error = refused(&named("0", Some(1), "1-2"));
        assert!(error.starts_with("--reader-cpus 1-2: a reader on CPU 1 "), "{error}");
        assert!(error.contains("such as the load's, 0"), "{error}");
    }
}
