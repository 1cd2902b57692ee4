//! A trigger hits hooks repeatedly, and measures what that costs under each method.

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::Measurement as _};
use probe_core::{
    error::Result,
    model::{
        method::{Family, SeriesUnit},
        target::Target,
        units::Nanos,
    },
};
use probe_user::{
    kernel::{holders, kallsyms::Kallsyms, targets, tracefs::Tracefs},
    measure::hook::{Hits, Hook},
    methods::{AttachContext, Detection, Method},
};

use crate::{interrupt, meter::CpuTime, skip};

/// Benches of one trigger.
pub(crate) type Group<'a> = BenchmarkGroup<'a, CpuTime>;

/// A load of which each call hits each item of the target once.
pub(crate) struct Trigger<'a> {
    /// The name of the benches.
    pub(crate) name: String,
    /// Measures the thread that makes the calls.
    pub(crate) meter: CpuTime,
    /// Makes this number of calls.
    pub(crate) fire: &'a dyn Fn(u64) -> Result<()>,
}

/// What methods are attached to, where, and the hits that they must have seen at the end.
pub(crate) struct Place<'a> {
    pub(crate) target: &'a Target,
    pub(crate) context: AttachContext<'a>,
    /// The hits of this number of calls.
    pub(crate) hits: fn(u64) -> Hits,
}

/// The target named by these words, if it can be traced here.
///
/// # Errors
/// It is missing, or another tracer holds it.
pub(crate) fn target(words: &str) -> Result<Target> {
    let target = targets::resolve(words, &Kallsyms::load()?)?;
    let tracefs = Tracefs::find()?;
    targets::check_traceable(&target, &tracefs)?;
    let holders = holders::holders(&target, &tracefs)?;
    if holders.is_empty() { Ok(target) } else { Err(holders::refusal(&holders)) }
}

impl Trigger<'_> {
    /// The group of its benches.
    pub(crate) fn group<'c>(&self, criterion: &'c mut Criterion<CpuTime>) -> Group<'c> {
        let mut group = criterion.benchmark_group(&self.name);
        // All samples have the same size, so that reading the meter before and after each has the
        // same weight.
        group.sampling_mode(SamplingMode::Flat);
        group
    }

    /// The loop without any probe; returns the cost of a call.
    pub(crate) fn bare(&self, group: &mut Group<'_>) -> Option<f64> {
        self.sample(group, "no probe").price
    }

    /// Each of `methods` that works at this place; returns how many of them failed.
    pub(crate) fn under(
        &self,
        methods: &[Box<dyn Method>],
        place: &Place<'_>,
        group: &mut Group<'_>,
    ) -> usize {
        let bare = self.bare(group);
        let mut failed = 0;
        for method in methods {
            let id = &method.descriptor().id;
            if let Some(why) = unfit(&**method, place) {
                skip(format_args!("{id}, {}", self.name), why);
                continue;
            }
            match self.traced(&**method, place, group) {
                Ok(price) => self.tell(price.zip(bare)),
                Err(error) => {
                    println!("FAILED: {id}, {}: {error}", self.name);
                    failed += 1;
                }
            }
        }
        failed
    }

    fn traced(
        &self,
        method: &dyn Method,
        place: &Place<'_>,
        group: &mut Group<'_>,
    ) -> Result<Option<f64>> {
        let hook = Hook::attach(method, place.target, &place.context)?;
        let sampled = self.sample(group, &method.descriptor().id.0);
        hook.finish((place.hits)(sampled.calls))?;
        Ok(sampled.price)
    }

    fn tell(&self, price: Option<(f64, f64)>) {
        if let Some((traced, bare)) = price {
            let unit = self.meter.unit();
            println!("{:24}above no probe: {:+.1} {unit} per call", "", traced - bare);
        }
    }

    /// Lets criterion sample the calls.
    fn sample(&self, group: &mut Group<'_>, id: &str) -> Sampled {
        let mut samples = Vec::new();
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|calls| {
                interrupt::heed();
                let before = self.meter.start();
                (self.fire)(calls).expect("the load runs");
                let spent = self.meter.end(before);
                samples.push((calls, spent));
                spent
            });
        });
        Sampled::of(&samples)
    }
}

/// The result of a bench.
struct Sampled {
    /// All calls, including those of the warm-up.
    calls: u64,
    /// The cost of one call in the samples; `None` if criterion took none.
    price: Option<f64>,
}

impl Sampled {
    /// The samples are the last values, of equal size. Takes their median: occasionally one
    /// includes other work of the kernel.
    #[expect(clippy::cast_precision_loss, reason = "no sample takes 2^53 ns")]
    fn of(samples: &[(u64, Nanos)]) -> Self {
        let size = samples.last().map(|(calls, _)| *calls);
        let last = samples.iter().rev().take_while(|(calls, _)| Some(*calls) == size);
        let mut prices: Vec<f64> = last.map(|(n, spent)| spent.0 as f64 / *n as f64).collect();
        prices.sort_by(f64::total_cmp);
        let middle =
            prices.get(prices.len().saturating_sub(1) / 2).zip(prices.get(prices.len() / 2));
        Self {
            calls: samples.iter().map(|(calls, _)| calls).sum(),
            price: middle.map(|(lower, upper)| (lower + upper) / 2.0),
        }
    }
}

/// Why there is no bench of `method` at `place`.
fn unfit(method: &dyn Method, place: &Place<'_>) -> Option<String> {
    let descriptor = method.descriptor();
    if descriptor.family == Family::External {
        return Some("a separate program; `cargo xtask run --methods external` measures it".into());
    }
    if descriptor.unit == SeriesUnit::CpuShare {
        return Some("it does nothing per call; `tracetoll run` measures its cost".into());
    }
    if matches!(descriptor.family, Family::Capture | Family::Counters)
        && place.context.taps.is_none()
    {
        return Some("it needs guests, and there are none".into());
    }
    match method.detect(place.target) {
        Detection::Available => None,
        Detection::Unsupported { why, hint } => Some(format!("{why}. {hint}")),
        Detection::Inconclusive(error) => {
            Some(format!("could not find out whether it works here: {error}"))
        }
    }
}
