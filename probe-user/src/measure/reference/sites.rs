//! The places at which a function's calls can be counted without touching it.

use probe_core::{
    error::{Error, Result},
    model::{
        subject::{self, Calls},
        target::{Function, Tracepoint},
    },
};

use crate::kernel::{
    bpf::{
        by_worker::{CallCounts, WorkerCounter, WorkerCounters},
        chosen::Programs,
        counter::Counter,
        loader::Spot,
        probe::Probe,
    },
    run::PREFIX,
};

/// A place whose hits are all or some of a function's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CountingPoint {
    Function(Function),
    Tracepoint(Tracepoint),
}

/// A place with its counter.
#[derive(Debug)]
pub(super) enum Site {
    Function(WorkerCounter),
    Tracepoint(Counter),
}

/// The places whose hits add up to the calls of `function`.
pub(super) fn of(function: &Function) -> Result<Vec<CountingPoint>> {
    match subject::calls_of(&function.name) {
        Calls::Callers(callers) => {
            let caller = |name: &&str| Function { name: (*name).to_owned(), ..function.clone() };
            Ok(callers.iter().map(caller).map(CountingPoint::Function).collect())
        }
        Calls::Tracepoint(group, name) => {
            let (group, name) = (group.into(), name.into());
            Ok(vec![CountingPoint::Tracepoint(Tracepoint { group, name })])
        }
        Calls::Nowhere => {
            let counted: Vec<&str> = subject::counted().collect();
            Err(Error::unsupported(
                format!("reference counter of {}", function.name),
                "no places are known that each of its calls hits exactly once",
                format!("Measure its overhead, or the fidelity on one of {}", counted.join(", ")),
            ))
        }
    }
}

/// Makes sites.
pub(super) struct Sites(WorkerCounters);

impl Sites {
    /// Counts the calls of the workers with these thread ids separately.
    pub(super) fn new(programs: &Programs, workers: &[u32]) -> Result<Self> {
        Ok(Self(WorkerCounters::new(programs, &format!("{PREFIX}_watch"), workers)?))
    }

    /// Counts at `place` from now on.
    pub(super) fn attach(&mut self, place: &CountingPoint) -> Result<Site> {
        let mut site = match place {
            CountingPoint::Function(function) => Site::Function(self.0.load(function)?),
            CountingPoint::Tracepoint(tracepoint) => {
                let spot = Spot::RawTracepoint(tracepoint);
                Site::Tracepoint(Counter::load(&mut self.0.loader, spot)?)
            }
        };
        site.probe_mut().attach()?;
        Ok(site)
    }
}

impl Site {
    pub(super) fn probe(&self) -> &Probe {
        match self {
            Self::Function(counter) => &counter.probe,
            Self::Tracepoint(counter) => &counter.probe,
        }
    }

    pub(super) fn probe_mut(&mut self) -> &mut Probe {
        match self {
            Self::Function(counter) => &mut counter.probe,
            Self::Tracepoint(counter) => &mut counter.probe,
        }
    }

    /// Hits since it was attached, without a system call.
    pub(super) fn calls(&self) -> CallCounts {
        match self {
            Self::Function(counter) => counter.calls(),
            Self::Tracepoint(counter) => {
                CallCounts { all: counter.counts.all(), workers: Vec::new() }
            }
        }
    }

    /// Hits while it was attached: those it counted and those it missed.
    pub(super) fn made(&self) -> Result<u64> {
        Ok(self.calls().all + self.probe().missed_exactly()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Function {
        let addresses = Default::default();
        Function { name: name.into(), module: Some("vhost_net".into()), addresses }
    }

    #[test]
    fn callers_stand_in_the_functions_own_module() {
        let sites = of(&function("handle_rx")).unwrap();
        let callers =
            ["handle_rx_kick", "handle_rx_net"].map(|name| CountingPoint::Function(function(name)));
        assert_eq!(sites, callers);
        let none = of(&function("tun_get_user")).unwrap_err().to_string();
        assert!(
            none.starts_with("reference counter of tun_get_user: no places are known"),
            "{none}"
        );
    }

    #[test]
    fn what_enters_a_guest_is_counted_at_its_tracepoint() {
        let sites = of(&function("svm_vcpu_run")).unwrap();
        assert!(
            matches!(&sites[..], [CountingPoint::Tracepoint(p)] if p.to_string() == "kvm:kvm_entry")
        );
        // It may run a guest several times in one call.
        of(&function("vcpu_enter_guest")).unwrap_err();
    }
}
