//! Measures the costs of `fentry_budget` on this host: of a call that is not recorded, and of a
//! record.
//!
//! The kernel has functions for testing programs (`bpf_fentry_test1` and others) that nothing else
//! calls; one command of bpf(2) calls each of them once. The program is attached to one of them,
//! and its cost is how much longer a round of commands takes. Of many short rounds the fastest
//! counts, since disturbances only add time. This is the cost with warm caches, as for a program
//! that runs often.

use std::{collections::BTreeMap, mem::offset_of, os::fd::BorrowedFd};

use probe_core::{
    error::{Error, Result},
    model::target::Function,
};
use probe_ebpf::fentry_budget::Slot;
use serde_json::json;

use super::{
    rates::{Prices, Rates, load_on},
    session::Details,
};
use crate::{
    kernel::{
        bpf::{
            chosen::Programs,
            loader::{Loader, Spot},
            probe::Probe,
            ring::BpfRing,
            slots::Slots,
        },
        clock,
    },
    sys::bpf::maps,
};

/// Number of commands per round, and of rounds.
const COMMANDS: u32 = 50;
const ROUNDS: u32 = 40;
/// The least cost: a smaller difference is noise, and no program is free.
const LEAST_NS: f64 = 1.0;

/// Measures the costs by running the program.
///
/// # Errors
/// The kernel has no test functions, or rejects the program.
pub(super) fn calibrate(programs: &Programs) -> Result<(Prices, Details)> {
    let (mut probe, slots, mut ring) = on_test_function(programs)?;
    let without = fastest(probe.program(), || Ok(()))?;
    let mut with = |rates: Rates| {
        rates.fill(&slots)?;
        probe.attach()?;
        let time = fastest(probe.program(), || ring.drain(|_| ()));
        probe.detach()?;
        time
    };
    let counting = with(Rates::NEVER)?;
    let recording = with(Rates::ALWAYS)?;
    let prices = Prices {
        call: (counting - without).max(LEAST_NS),
        record: (recording - counting).max(LEAST_NS),
    };
    let details = BTreeMap::from([
        ("price_of_call_ns".into(), json!(prices.call)),
        ("price_of_record_ns".into(), json!(prices.record)),
        (
            "calibration_ns_per_command".into(),
            json!({ "without": without, "counting": counting, "recording": recording }),
        ),
    ]);
    Ok((prices, details))
}

/// Runs the program once, to find out whether it works.
///
/// # Errors
/// As [`calibrate`].
pub(super) fn try_out(programs: &Programs) -> Result<()> {
    let (mut probe, slots, _ring) = on_test_function(programs)?;
    Rates::NEVER.fill(&slots)?;
    probe.attach()?;
    call_once(probe.program())?;
    let calls = slots.sum(offset_of!(Slot, calls));
    probe.detach()?;
    // There are more if another process tries the same.
    if calls >= 1 {
        return Ok(());
    }
    Err(Error::Inconsistent(format!("a call of {TESTED} was not counted")))
}

const TESTED: &str = "bpf_fentry_test1";

fn on_test_function(programs: &Programs) -> Result<(Probe, Slots, BpfRing<2>)> {
    const RING_BYTES: u32 = 64 << 10;
    let tested = Function { name: TESTED.into(), module: None, addresses: Default::default() };
    load_on(&mut Loader::new(programs, "tracetoll_price")?, Spot::Fentry(&tested), RING_BYTES)
}

fn call_once(program: BorrowedFd<'_>) -> Result<()> {
    maps::call_test_functions(program).map_err(|e| Error::call("bpf(BPF_PROG_TEST_RUN)", TESTED, e))
}

/// ns per command in the fastest round. `clear` makes space between rounds.
fn fastest(program: BorrowedFd<'_>, mut clear: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let start = clock::now();
        for _ in 0..COMMANDS {
            call_once(program)?;
        }
        least = least.min(clock::now().since(start).0);
        clear()?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a round takes far less than 2^53 ns")]
    Ok(least as f64 / f64::from(COMMANDS))
}
