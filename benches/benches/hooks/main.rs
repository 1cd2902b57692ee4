//! The cost of a traced call under each method, in CPU time of the thread that makes the call.
//!
//! There are two triggers. A *system call* that renames the calling thread hits one function and
//! one tracepoint of the kernel itself, and works on any host. A *kick* makes the vhost worker call
//! `handle_tx` once and send one frame, as in the closed-loop trials of `tracetoll run`, whose
//! `kernel_ns_per_event` is the same figure with blocks, a random order and an interval.
//!
//! Only root may trace. What cannot be measured here is listed with the reason, and is not a
//! failure. `TRACETOLL_METHODS` selects the methods, like `--methods` of `tracetoll run`.

mod call;
mod interrupt;
mod kick;
mod meter;
mod trigger;

use std::{fmt, process::ExitCode, time::Duration};

use criterion::Criterion;
use probe_core::{
    error::{Error, Result},
    model::figure::Platform,
};
use probe_user::{
    kernel::{
        claim::{self, Claim},
        cpus, host,
        run::Run,
    },
    methods::{Method, registry},
    workload::{Placement, RequestedCpus},
};

use crate::meter::CpuTime;

/// All that can be attached; those that need another program are listed and skipped.
const METHODS: &str = "ftrace,perf,bpf,capture,external";

fn main() -> ExitCode {
    match std::panic::catch_unwind(measure) {
        Ok(Ok(0)) => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(left) => interrupt::status(left),
    }
}

/// What all benches share.
struct Host {
    platform: Platform,
    placement: Placement,
    /// `None` if this user may not trace.
    run: Option<Run>,
    methods: Vec<Box<dyn Method>>,
}

/// Returns the number of failed methods.
fn measure() -> Result<usize> {
    interrupt::listen()?;
    let platform = host::platform(&host::read()?);
    let placement = Placement::choose(1, &RequestedCpus::default(), &cpus::allowed()?)?;
    let claim = claim().map_err(|error| skip("all methods", error)).ok();
    let run = claim.as_ref().and_then(|_| Run::start().map_err(|e| skip("all methods", e)).ok());
    let methods = match &run {
        Some(_) => registry::select(&std::env::var("TRACETOLL_METHODS").unwrap_or(METHODS.into()))?,
        None => Vec::new(),
    };
    let host = Host { platform, placement, run, methods };
    Ok(call::bench(&host)? + kick::bench(&host)?)
}

/// Reserves the kernel for these benches.
fn claim() -> Result<Claim> {
    let taken = || Error::unsupported("the kernel", claim::taken(), "Wait for it to end");
    Claim::try_take()?.ok_or_else(taken)
}

impl Host {
    /// The duration and number of samples: an emulated processor takes many times as long as a real
    /// one. The warm-up, from which criterion computes how many calls make a sample, must be long
    /// compared with the pauses before the meter is read.
    fn criterion(&self, meter: CpuTime) -> Criterion<CpuTime> {
        let criterion = Criterion::default().with_measurement(meter);
        let criterion = match self.platform {
            Platform::Native | Platform::Virtual => criterion
                .warm_up_time(Duration::from_millis(500))
                .measurement_time(Duration::from_secs(3))
                .sample_size(50),
            Platform::Counted | Platform::Emulated | Platform::Unknown => criterion
                .warm_up_time(Duration::from_millis(100))
                .measurement_time(Duration::from_millis(100))
                .sample_size(10)
                .nresamples(2000),
        };
        criterion.configure_from_args()
    }

    /// Groups are named by clock and kernel, so that only baselines of the same kind are compared.
    fn named(&self, trigger: &str) -> String {
        let clock = format!("{:?}", self.platform).to_lowercase();
        format!("{trigger}, {clock}, Linux {}", host::release())
    }
}

/// Says what is not measured, and why.
fn skip(what: impl fmt::Display, why: impl fmt::Display) {
    println!("skipped: {what}: {why}");
}
