//! `bpf-fentry-bins`: counts calls by time, in the kernel.
//!
//! The program reads the clock and counts in the bin of that time, in its CPU's own row of a table;
//! nothing runs in user space until the end. The total is always exact. Calls after the end of the
//! table are in the total but in no bin, and the result says how many.

use std::{mem::offset_of, os::fd::AsFd as _};

use probe_core::{
    error::{Error, Result},
    model::{bounds, item::ItemId, method::Class, units::Nanos},
};
use probe_ebpf::fentry_bins::{BINS, PROGRAM, SLOTS, Slot};
use serde_json::json;

use super::session::{Account, Design, Details, MethodKind, Part, Programmed, Traced};
use crate::{
    kernel::{
        bpf::{
            loader::{Loader, Spot},
            probe::Probe,
            slots::Slots,
        },
        clock,
    },
    methods::{Cadence, Method, Sink, options::Options},
    sys::mapped::MappedArray,
};

/// Its id.
pub(super) const ID: &str = "bpf-fentry-bins";

/// Words of two cache lines, which the processor fetches in pairs, so that rows of CPUs share no
/// line.
const ROW_UNIT: u32 = 16;

/// Creates the method.
///
/// # Errors
/// A parameter has a wrong value.
pub(super) fn make(options: &mut Options) -> Result<Box<dyn Method>> {
    let bin_ms = options.number("bin_ms", 10, &bounds::BIN_MS)?;
    let span_s = options.number("span_s", 600, &bounds::SPAN_S)?;
    let bins = u64::from(span_s) * 1000 / u64::from(bin_ms);
    // 64 MiB per CPU and function.
    let bins =
        u32::try_from(bins).ok().filter(|bins| (1..=8 << 20).contains(bins)).ok_or_else(|| {
            Error::invalid(
                format!("method `{ID}`"),
                format!("{span_s} s have {bins} bins of {bin_ms} ms"),
                "Give a span_s and a bin_ms that make 1 to 8388608 bins",
            )
        })?;
    let summary = format!("fentry programs count calls in bins of {bin_ms} ms; read at the end");
    let parameters = Details::from([
        ("bin_ms".into(), json!(bin_ms)),
        ("span_s".into(), json!(span_s)),
        ("clock".into(), json!("monotonic")),
    ]);
    let kind = MethodKind { parameters, ..MethodKind::new(Class::Exact, summary) };
    let width = Nanos(u64::from(bin_ms) * 1_000_000);
    Ok(Programmed::make(options, kind, Bins { bins, width }))
}

#[derive(Debug, Clone, Copy)]
struct Bins {
    bins: u32,
    width: Nanos,
}

#[derive(Debug)]
struct Binning {
    slots: Slots,
    /// One row per CPU: the bins, then the calls after the last bin, then padding.
    table: MappedArray,
    row: u32,
    bins: Bins,
    /// Start of the time in which it counted.
    start: Nanos,
    end: Nanos,
    recorded: u64,
    late: u64,
    /// Number of words read.
    read: u64,
}

impl Design for Bins {
    type Part = Binning;

    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Binning>> {
        let cpus = loader.cpus();
        let row = (self.bins + 1).next_multiple_of(ROW_UNIT);
        let words = row.checked_mul(cpus).ok_or_else(|| {
            Error::unsupported(
                ID,
                "the table is too long for this number of CPUs",
                "Give a smaller span_s",
            )
        })?;
        let probe = loader.load(PROGRAM, &[(SLOTS, cpus), (BINS, words)], spot)?;
        let slots = probe.slots::<Slot>(SLOTS, 1)?;
        let table = MappedArray::new(probe.map(BINS)?.fd().as_fd(), words as usize)
            .map_err(|e| Error::call("mmap", format!("{BINS} for {}", probe.subject), e))?;
        let (start, end) = (Nanos(0), Nanos(u64::MAX));
        let (recorded, late, read) = (0, 0, 0);
        let part = Binning { slots, table, row, bins: *self, start, end, recorded, late, read };
        Ok(Traced::new(probe, part))
    }
}

impl Binning {
    /// Calls in bin `bin` on all CPUs.
    fn calls(&self, bin: u32) -> u64 {
        let row = |cpu: usize| cpu * self.row as usize + bin as usize;
        (0..self.slots.cpus()).map(|cpu| self.table.load(row(cpu))).sum()
    }

    /// Number of bins that have started.
    fn begun(&self) -> u32 {
        let bin = clock::now().since(self.start).0 / self.bins.width.0;
        u32::try_from(bin + 1).unwrap_or(u32::MAX).min(self.bins.bins)
    }
}

impl Part for Binning {
    fn start(&mut self) -> Result<()> {
        // In the order of the slot's words.
        const { assert!(offset_of!(Slot, start) == 0 && offset_of!(Slot, last) == 24) };
        self.start = clock::now();
        let (start, width, last) = (self.start.0, self.bins.width.0, self.bins.bins.into());
        let row = |cpu: usize| cpu as u64 * u64::from(self.row);
        self.slots.fill(|cpu| [start, width, row(cpu), last])
    }

    fn stop(&mut self, at: Nanos) -> Result<()> {
        self.end = at;
        Ok(())
    }

    /// Called once, at the end.
    fn drain(&mut self, item: ItemId, sink: &mut dyn Sink) -> Result<()> {
        self.recorded = 0;
        let begun = self.begun();
        self.read = (u64::from(begun) + 1) * self.slots.cpus() as u64;
        for bin in 0..begun {
            let calls = self.calls(bin);
            if calls == 0 {
                continue;
            }
            self.recorded += calls;
            let width = self.bins.width.0;
            let middle = Nanos(self.start.0 + u64::from(bin) * width + width / 2).min(self.end);
            #[expect(clippy::cast_precision_loss, reason = "no bin holds 2^53 calls")]
            sink.weighted(item, middle, calls as f64);
        }
        self.late = self.calls(self.bins.bins);
        self.recorded += self.late;
        Ok(())
    }

    fn account(&mut self, _: &[Probe]) -> Result<Account> {
        let late = ("calls_behind_the_last_bin_per_function".into(), json!(self.late));
        let bytes = self.read * size_of::<u64>() as u64;
        Ok(Account { details: [late].into(), ..Account::new(Some(self.recorded), bytes) })
    }
}
