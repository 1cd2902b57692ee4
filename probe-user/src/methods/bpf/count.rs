//! Methods that count each hit in the kernel, by other ways than the trampoline of
//! `bpf-fentry-count`.
//!
//! What they have in common with it is the program: one slot per CPU that nobody else writes to, a
//! plain add, and no helper but the one that tells the CPU (and the one that tells the function,
//! where one program is on many). So the difference between two of them is the price of the way to
//! the program.

use std::collections::BTreeMap;

use probe_core::{
    error::{Error, Result},
    model::{
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        target::Target,
    },
};

use super::counting::Counting;
use crate::{
    kernel::{
        bpf::tally::{Tallies, Tally},
        known::Known,
        run::PREFIX,
    },
    methods::{AttachContext, Detection, Method, Session},
};

/// How one of them differs from the others.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its id.
    pub id: &'static str,
    summary: &'static str,
    items: Items,
    load: fn(&Tallies, &Target) -> Result<Vec<Tally>>,
}

/// What it can see of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Items {
    Functions,
    Tracepoints,
}

impl Kind {
    /// On kprobes.
    pub const KPROBE: Self = Self {
        id: "bpf-kprobe-count",
        summary: "programs on kprobes count each call per CPU; read from shared memory",
        items: Items::Functions,
        load: |tallies, target| {
            target.functions.iter().map(|function| tallies.kprobe(function)).collect()
        },
    };

    /// On one fprobe.
    pub const KPROBE_MULTI: Self = Self {
        id: "bpf-kprobe-multi-count",
        summary: "one program on an fprobe of all functions counts each call per CPU; read from shared memory",
        items: Items::Functions,
        load: |tallies, target| Ok(vec![tallies.kprobe_multi(&target.functions)?]),
    };

    /// On tracepoints themselves.
    pub const RAW_TRACEPOINT: Self = Self {
        id: "bpf-rawtp-count",
        summary: "raw tracepoint programs count each hit per CPU; read from shared memory",
        items: Items::Tracepoints,
        load: |tallies, target| {
            target.tracepoints.iter().map(|one| tallies.raw_tracepoint(one)).collect()
        },
    };

    /// On the perf events of tracepoints.
    pub const TRACEPOINT: Self = Self {
        id: "bpf-tracepoint-count",
        summary: "tracepoint programs count each hit per CPU; read from shared memory",
        items: Items::Tracepoints,
        load: |tallies, target| {
            target.tracepoints.iter().map(|one| tallies.tracepoint(one)).collect()
        },
    };
}

/// The method.
#[derive(Debug)]
pub struct Count {
    descriptor: Descriptor,
    kind: Kind,
}

impl Count {
    /// One of them; it has no parameters.
    pub fn new(kind: Kind) -> Self {
        let descriptor = Descriptor {
            id: MethodId(kind.id.into()),
            family: Family::Bpf,
            class: Class::Exact,
            unit: SeriesUnit::Calls { factor: 1.0 },
            durations: false,
            summary: kind.summary.into(),
            parameters: BTreeMap::new(),
        };
        Self { descriptor, kind }
    }

    /// A tally per place, none attached. No name of theirs needs the run's tag: they go with the
    /// process.
    fn load(&self, target: &Target) -> Result<Counting> {
        let (first, there, what) = match self.kind.items {
            Items::Functions => (0, target.functions.len(), "function"),
            Items::Tracepoints => (target.tracepoint(0), target.tracepoints.len(), "tracepoint"),
        };
        if there == 0 {
            return Err(Error::unsupported(
                "target",
                format!("it has no {what}, and {} sees nothing else", self.kind.id),
                format!(
                    "Name one, as in --target {}",
                    match self.kind.items {
                        Items::Functions => "vhost_net:handle_tx",
                        Items::Tracepoints => "tracepoint:net:net_dev_xmit",
                    }
                ),
            ));
        }
        let tallies = Tallies::new(format!("{PREFIX}_count"))?;
        Ok(Counting::new((self.kind.load)(&tallies, target)?, first))
    }

    /// Loading asks the verifier about the program, and only attaching asks the kernel about its
    /// place.
    fn probe(&self, target: &Target, _: &Known) -> Result<()> {
        let mut session = self.load(target)?;
        session.attach_all()?;
        session.detach_all()
    }
}

impl Method for Count {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn attach(&self, target: &Target, _: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        Ok(Box::new(self.load(target)?))
    }
}
