//! The tracing methods, one room each; they never import one another.
//!
//! The life of a method in a trial: [`Method::open`] · [`Session::start`] · [`Session::drain`] again
//! and again · [`Session::stop`] · one last drain · [`Session::account`]. An [`Observer`] takes a
//! session through these steps, and notes what is the same for all: the time, and what attached.
//! Whatever was opened is released by `account`, which reports errors; dropping a session releases
//! it too, silently.

pub mod bpf;
pub mod capture;
mod detection;
pub mod entry;
pub mod external;
pub mod ftrace;
mod observer;
pub mod off;
pub mod options;
pub mod perf;
pub mod registry;
pub mod ticker;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        item::{ItemId, PerItem},
        method::Descriptor,
        observation::Observation,
        target::Target,
        units::Nanos,
    },
};

pub use self::observer::Observer;
use crate::kernel::{known::Known, netns::Netns, run::Run, targets};

/// Whether a method can work on this host.
#[derive(Debug)]
pub enum Detection {
    /// It can.
    Available,
    /// It cannot.
    Unsupported {
        /// What is missing.
        why: String,
        /// What would help.
        hint: String,
    },
    /// The question could not be answered; never cached, never taken for a no.
    Inconclusive(Error),
}

/// A way of observing a target.
pub trait Method: Send + Sync {
    /// Its definition.
    fn descriptor(&self) -> &Descriptor;

    /// Asks the kernel for the features it needs, without leaving anything behind, in the narrowest
    /// way that answers (see [`known`]). What `known` knows is not asked again.
    ///
    /// [`known`]: crate::kernel::known
    fn ask(&self, target: &Target, known: &Known) -> Detection;

    /// As [`Method::ask`], for this one question.
    fn detect(&self, target: &Target) -> Detection {
        self.ask(target, &Known::default())
    }

    /// Opens what it needs to observe every item of `target` that it can see, and observes nothing
    /// yet as far as the facility allows.
    ///
    /// # Errors
    /// What the kernel refused; whatever was opened by then is released.
    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>>;

    /// As [`Method::open`], for whoever takes it through a trial's steps.
    ///
    /// # Errors
    /// As [`Method::open`].
    fn attach(&self, target: &Target, context: &AttachContext<'_>) -> Result<Observer> {
        Ok(Observer::new(self.open(target, context)?, target))
    }
}

/// Where a method is attached, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub struct AttachContext<'a> {
    /// Who owns what it makes.
    pub run: &'a Run,
    /// The guests' TAPs; none where no load is built.
    pub taps: Option<Taps<'a>>,
    /// The CPUs that the method's own processes may run on: the traced machine's. Empty: those of
    /// the calling thread.
    pub cpus: &'a [u32],
    /// Set when the user asks for the end. What can take minutes looks at it.
    pub interrupted: Option<&'a Arc<AtomicBool>>,
}

/// The interfaces behind which the guests are.
#[derive(Debug, Clone, Copy)]
pub struct Taps<'a> {
    /// The network namespace that they stand in.
    pub netns: &'a Netns,
    /// Their names.
    pub names: &'a [String],
}

impl<'a> AttachContext<'a> {
    /// Without any load.
    pub fn bare(run: &'a Run) -> Self {
        Self { run, taps: None, cpus: &[], interrupted: None }
    }
}

/// When a session wants to be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// At each bin edge, by the reader that stamps the edge: for counters.
    Edges,
    /// At this interval, by a thread of the method's own: for recorders.
    Every(Duration),
    /// Only once, at the end.
    Never,
}

/// What a method holds for one trial: only what is its own.
pub trait Session: Send {
    /// When it wants to be drained.
    fn cadence(&self) -> Cadence;

    /// Starts observing.
    ///
    /// # Errors
    /// What the kernel refused. Then the session is good for nothing but to be dropped.
    fn start(&mut self) -> Result<()>;

    /// What observes now, one line each; the functions of `target` unless it says otherwise.
    ///
    /// # Errors
    /// The kernel does not tell.
    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok(targets::describe(target))
    }

    /// Hands everything that is there to `sink`; never blocks. Nothing, for a session that only
    /// accounts for itself at the end.
    ///
    /// # Errors
    /// What the kernel refused, or a record that is not what its format says.
    fn drain(&mut self, _sink: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    /// Stops observing; what was recorded stays readable.
    ///
    /// # Errors
    /// What the kernel refused; the rest stops all the same.
    fn stop(&mut self) -> Result<()>;

    /// Releases everything and completes `noted`, which holds what attached, and the time between
    /// start and stop. A failure to release is an error even if all was observed.
    ///
    /// # Errors
    /// What the kernel refused; the rest is released all the same.
    fn account(self: Box<Self>, noted: Observation) -> Result<Observation>;
}

/// Takes what a session saw.
pub trait Sink {
    /// `item` was hit `total` times since enable, as read at this moment.
    fn count(&mut self, item: ItemId, total: u64);

    /// `item` was hit at `at` (`CLOCK_MONOTONIC`).
    fn event(&mut self, item: ItemId, at: Nanos);

    /// `weight` hits of `item` about `at`: a count of a short stretch of time in whose middle `at`
    /// lies, or a record that stands for several.
    fn weighted(&mut self, item: ItemId, at: Nanos, weight: f64);

    /// A profiler's totals since enable, as read at this moment: all samples, and for each function
    /// of the target those that have it in their call chain, and those whose innermost frame it is.
    fn shares(&mut self, samples: u64, functions: PerItem<Share>);

    /// A profiler's sample.
    fn sample(&mut self, sample: ProfilerSample<'_>);
}

/// A moment that a profiler saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfilerSample<'a> {
    /// When (`CLOCK_MONOTONIC`).
    pub at: Nanos,
    /// What it stands for: the share of a function is the weight of its samples in that of all. 1
    /// where all stand for the same.
    pub weight: u64,
    /// The target's functions in the call chain, each once; without call chains, the one that was
    /// interrupted.
    pub functions: &'a [ItemId],
    /// The function of the target that was interrupted, if it is one.
    pub innermost: Option<ItemId>,
}

/// A profiler's count for one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Samples with the function in their call chain.
    pub inclusive: u64,
    /// Of those, samples whose innermost frame it is.
    pub own: u64,
}
