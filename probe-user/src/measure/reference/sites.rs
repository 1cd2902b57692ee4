//! Where the calls of a function can be counted without touching it.

use probe_core::{
    error::{Error, Result},
    model::{
        loss::Loss,
        subject::{self, Calls},
        target::{Function, Tracepoint},
    },
};

use crate::kernel::{
    bpf::{
        by_worker::{Calls as Counted, WorkerCounter, WorkerCounters},
        tally::{Tallies, Tally},
    },
    run::PREFIX,
};

/// A place whose hits are a function's calls, or a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Function(Function),
    Tracepoint(Tracepoint),
}

/// A place with its counter.
#[derive(Debug)]
pub(super) enum Site {
    Function(WorkerCounter),
    Tracepoint(Tally),
}

/// The places whose hits add up to the calls of `function`.
pub(super) fn of(function: &Function) -> Result<Vec<Place>> {
    match subject::calls_of(&function.name) {
        Calls::Callers(callers) => {
            let caller = |name: &&str| Function { name: (*name).to_owned(), ..function.clone() };
            Ok(callers.iter().map(caller).map(Place::Function).collect())
        }
        Calls::Tracepoint(group, name) => {
            let (group, name) = (group.into(), name.into());
            Ok(vec![Place::Tracepoint(Tracepoint { group, name })])
        }
        Calls::Nowhere => {
            let counted: Vec<&str> = subject::counted().collect();
            Err(Error::unsupported(
                format!("reference counter of {}", function.name),
                "no places are known that are hit exactly once in each of its calls",
                format!("Measure its overhead, or the fidelity on one of {}", counted.join(", ")),
            ))
        }
    }
}

/// Makes sites.
pub(super) struct Sites {
    functions: WorkerCounters,
    tracepoints: Tallies,
}

const NAME: &str = "watch";

impl Sites {
    /// Tells the calls of the workers with these thread ids apart.
    pub(super) fn new(workers: &[u32]) -> Result<Self> {
        let name = format!("{PREFIX}_{NAME}");
        Ok(Self { functions: WorkerCounters::new(workers)?, tracepoints: Tallies::new(name)? })
    }

    /// Counts at `place` from now on.
    pub(super) fn attach(&mut self, place: &Place) -> Result<Site> {
        match place {
            Place::Function(function) => {
                let mut counter = self.functions.load(function, &format!("{PREFIX}_{NAME}"))?;
                counter.attach()?;
                Ok(Site::Function(counter))
            }
            Place::Tracepoint(tracepoint) => {
                let mut tally = self.tracepoints.raw_tracepoint(tracepoint)?;
                tally.program.attach()?;
                Ok(Site::Tracepoint(tally))
            }
        }
    }
}

impl Site {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Function(counter) => counter.function(),
            Self::Tracepoint(tally) => &tally.program.subject,
        }
    }

    /// Hits since it was attached, without a system call.
    pub(super) fn calls(&self) -> Counted {
        match self {
            Self::Function(counter) => counter.calls(),
            Self::Tracepoint(tally) => Counted { all: tally.hits().sum(), workers: Vec::new() },
        }
    }

    /// Hits at which the program did not run.
    pub(super) fn missed(&self) -> Result<Loss> {
        match self {
            Self::Function(counter) => counter.missed(),
            Self::Tracepoint(tally) => tally.program.missed(),
        }
    }

    pub(super) fn detach(&mut self) -> Result<()> {
        match self {
            Self::Function(counter) => counter.detach(),
            Self::Tracepoint(tally) => tally.program.detach(),
        }
    }

    /// Hits while it was attached: those it counted and those it missed.
    pub(super) fn made(&self) -> Result<u64> {
        let missed = self.missed()?.exact().ok_or_else(|| {
            Error::unsupported(
                format!("exact count of {}", self.name()),
                "this kernel does not tell how often a BPF program was skipped",
                "Use Linux 5.12 or newer",
            )
        })?;
        Ok(self.calls().all + missed)
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
            ["handle_rx_kick", "handle_rx_net"].map(|name| Place::Function(function(name)));
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
            matches!(&sites[..], [Place::Tracepoint(one)] if one.to_string() == "kvm:kvm_entry")
        );
        // It may run a guest several times in one call.
        of(&function("vcpu_enter_guest")).unwrap_err();
    }
}
