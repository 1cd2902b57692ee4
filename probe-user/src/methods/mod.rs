//! The tracing methods, one module each; they never import one another.
//!
//! The life of a method in a trial: [`Method::open`] · [`Session::start`] · [`Session::drain`]
//! repeatedly · [`Session::stop`] · one last drain · [`Session::account`]. An [`Observer`] takes a
//! session through these steps, and records what all sessions have in common: the time, and what
//! was attached. `account` releases everything that was opened and reports errors; dropping a
//! session also releases it, silently.

pub mod bpf;
pub mod capture;
pub mod counters;
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
    os::fd::BorrowedFd,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use probe_core::{
    error::{Error, Result},
    model::{
        item::{ItemId, PerItem},
        method::Descriptor,
        observation::Observation,
        scenario::GuestKind,
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
    /// The question could not be answered; never cached, and never treated as a no.
    Inconclusive(Error),
}

/// A way of observing a target.
pub trait Method: Send + Sync {
    /// Its definition.
    fn descriptor(&self) -> &Descriptor;

    /// Asks the kernel for the required features, without leaving anything behind, in the least
    /// intrusive way (see [`known`]). What `known` has is not asked again.
    ///
    /// [`known`]: crate::kernel::known
    fn ask(&self, target: &Target, known: &Known) -> Detection;

    /// Whether it has something to observe under guests of this kind, whatever the kernel has.
    fn suits(&self, _: GuestKind) -> Detection {
        Detection::Available
    }

    /// Like [`Method::ask`], for a single question.
    fn detect(&self, target: &Target) -> Detection {
        self.ask(target, &Known::default())
    }

    /// Opens what it needs to observe every item of `target` that it can see, but does not observe
    /// yet, as far as the facility allows that.
    ///
    /// # Errors
    /// The kernel's error; whatever was opened by then is released.
    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>>;

    /// Like [`Method::open`], for callers that take it through a trial's steps.
    ///
    /// # Errors
    /// As [`Method::open`].
    fn attach(&self, target: &Target, context: &AttachContext<'_>) -> Result<Observer> {
        Ok(Observer::new(self.open(target, context)?, target))
    }
}

/// The environment in which a method is attached, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct AttachContext<'a> {
    /// The owner of the objects that it creates.
    pub run: &'a Run,
    /// The guests' TAPs; `None` if there is no load.
    pub taps: Option<Taps<'a>>,
    /// Thread ids of the guests' vhost workers; empty if there is no load.
    pub workers: &'a [u32],
    /// The CPUs that the method's own processes may use: those of the traced machine. Empty for
    /// those of the calling thread.
    pub cpus: &'a [u32],
    /// Set when the user asks to stop. Operations that can take minutes check it.
    pub interrupted: Option<&'a Arc<AtomicBool>>,
}

/// The interfaces of the guests.
#[derive(Debug, Clone, Copy)]
pub struct Taps<'a> {
    /// Their network namespace.
    pub netns: &'a Netns,
    /// Their names.
    pub names: &'a [String],
}

impl<'a> AttachContext<'a> {
    /// Without any load.
    pub fn bare(run: &'a Run) -> Self {
        Self { run, taps: None, workers: &[], cpus: &[], interrupted: None }
    }
}

/// When a session must be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// At each bin edge, by the reader that stamps the edge: for counters.
    Edges,
    /// At this interval, by the method's own thread: for recorders.
    Every(Duration),
    /// When the kernel says that one of [`Session::ready`] can be read, by the method's own thread:
    /// for recorders that are woken.
    Woken,
    /// Only once, at the end.
    Never,
}

/// What a method has open for one trial: only what is specific to it.
pub trait Session: Send {
    /// When it must be drained.
    fn cadence(&self) -> Cadence;

    /// Starts observing.
    ///
    /// # Errors
    /// The kernel's error. After that the session can only be dropped.
    fn start(&mut self) -> Result<()>;

    /// What observes now, one line each; by default the functions of `target`.
    ///
    /// # Errors
    /// The kernel does not report it.
    fn attached(&self, target: &Target) -> Result<Vec<String>> {
        Ok(targets::describe(target))
    }

    /// Passes all new data to `sink`; never blocks. Does nothing for a session that only accounts
    /// for itself at the end.
    ///
    /// # Errors
    /// The kernel's error, or a record that does not match its format.
    fn drain(&mut self, _sink: &mut dyn Sink) -> Result<()> {
        Ok(())
    }

    /// The descriptors that its reader waits for, if its cadence is [`Cadence::Woken`].
    fn ready(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Stops observing; what was recorded remains readable.
    ///
    /// # Errors
    /// The kernel's error; the rest is still stopped.
    fn stop(&mut self) -> Result<()>;

    /// Releases everything and completes `noted`, which has what was attached and the time between
    /// start and stop. A failure to release is an error even if everything was observed.
    ///
    /// # Errors
    /// The kernel's error; the rest is still released.
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

/// A moment that a profiler sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfilerSample<'a> {
    /// When (`CLOCK_MONOTONIC`).
    pub at: Nanos,
    /// Its weight: the share of a function is the weight of its samples relative to all. 1 if all
    /// have the same weight.
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
    /// Number of these with it as the innermost frame.
    pub own: u64,
}
