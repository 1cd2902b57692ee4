//! `bpf-fentry-count`: counts every call in the kernel, and reads the counts from shared memory.
//!
//! One program per function, each with one slot per CPU that nobody else writes to, so that the
//! increment is a plain add. Reading costs no system call. The price is the trampoline's and some
//! ten instructions; what it does not give is when within a bin a call was made.

use probe_core::{
    error::Result,
    model::{
        method::{Class, SeriesUnit},
        target::Function,
        units::Nanos,
    },
};

use super::session::{Account, Design, Details, Fentry, Kind, Part};
use crate::{
    kernel::bpf::{
        counter::{self, Calls},
        probe::{Probe, Probes},
    },
    methods::{Cadence, Method, Sink, options::Options},
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-count";

/// The method; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    let kind = Kind {
        class: Class::Exact,
        unit: SeriesUnit::Calls { factor: 1.0 },
        summary: "fentry programs count each call per CPU; read from shared memory".into(),
        parameters: Details::new(),
    };
    Ok(Box::new(Fentry::new(options, kind, Count)))
}

#[derive(Debug)]
struct Count;

#[derive(Debug)]
struct Counting {
    calls: Calls,
    /// Times that it was read.
    reads: u64,
}

impl Design for Count {
    type Part = Counting;

    fn cadence(&self) -> Cadence {
        Cadence::Edges
    }

    fn load(&self, probes: &mut Probes, f: &Function, name: &str) -> Result<(Probe, Counting)> {
        let (probe, calls) = counter::load(probes, f, name)?;
        Ok((probe, Counting { calls, reads: 0 }))
    }
}

impl Part for Counting {
    fn drain(&mut self, _: &Probe, item: usize, sink: &mut dyn Sink) -> Result<()> {
        sink.count(item, self.calls.get());
        self.reads += 1;
        Ok(())
    }

    fn account(&mut self, _: &Probe, _: Nanos) -> Result<Account> {
        let word = size_of::<u64>() as u64;
        Ok(Account::new(Some(self.calls.get()), self.reads * self.calls.words() * word))
    }
}
