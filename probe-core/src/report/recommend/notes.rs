//! What a recommendation rests on, in sentences.

use crate::{
    analysis::recommend::{
        Beside, Check, Criterion, Judged, RankedBy, Recommendation, Standing, Verdict, Way,
    },
    model::{
        campaign::Run,
        figure::{Figure, Platform},
    },
    report::{caveats, grouped::Grouped},
};

pub(super) fn list(found: &Recommendation, runs: &[Run]) -> Vec<String> {
    let of_r = match found.wanted.min_r_retained {
        Some(_) => "For r_retained it is made on Fisher's z, and is not the printed one. ",
        None => "",
    };
    let mut all = vec![format!(
        "A limit is judged by the 95 % interval: kept if all of it, widened for the number of \
         methods, is within; not kept if all of it is beyond. \
         {of_r}docs/src/explanation/recommending.md has the rules."
    )];
    all.extend(chance(found));
    all.extend(clocks(found));
    all.extend(under_a_hypervisor(found));
    all.extend(caveats::older(runs));
    all.extend(rate(found));
    all.extend(comparable(found));
    all.extend(blocks(found));
    all.extend(found.unavailable.iter().map(|method| {
        format!("Not measured: {} cannot work here: {}. {}.", method.id, method.why, method.hint)
    }));
    all
}

/// How many verdicts rest on an interval.
fn chance(found: &Recommendation) -> Option<String> {
    let by_interval = |check: &&Check| {
        Criterion::BY_INTERVAL.contains(&check.of)
            && !matches!(check.verdict, Verdict::CannotTell { .. })
    };
    let number = found.methods.iter().flat_map(|one| &one.checks).filter(by_interval).count();
    (number > 0).then(|| {
        format!(
            "Verdicts by an interval: {number}. They are made so that at most 5 % of campaigns \
             wrongly say of any method that it keeps all its limits. A method exactly on one is \
             refused in one of forty. The rules say where this was simulated, and where it fails."
        )
    })
}

/// Costs that are not hardware's, and what is made of them.
fn clocks(found: &Recommendation) -> Option<String> {
    let costs = foreign(found)?;
    Some(match (found.wanted.accept_emulated, found.ranked_by) {
        (true, _) => format!("{costs} They are taken all the same, as --accept-emulated asks."),
        (false, RankedBy::Fidelity) => format!(
            "{costs} So methods are ranked by fidelity and loss alone, and no limit on these \
             costs is judged; measure on hardware, or take them all the same with \
             --accept-emulated."
        ),
        (false, RankedBy::Cpu) => format!(
            "{costs} So no limit on these is judged, and methods with no other CPU time come \
             last; measure on hardware, or take them all the same with --accept-emulated."
        ),
    })
}

/// Which costs are not hardware's.
fn foreign(found: &Recommendation) -> Option<String> {
    let costs = |one: &Judged| {
        let figures = [("CPU", &one.cost.cpu_pct), ("throughput", &one.throughput_pct)];
        let known =
            |(name, figure): (&'static str, &Figure)| Some((name, figure.known()?.platform));
        figures.into_iter().filter_map(known).collect::<Vec<_>>()
    };
    let (mut groups, mut platforms) = (Grouped::default(), Vec::new());
    for one in &found.methods {
        for (name, platform) in costs(one) {
            platforms.push(platform);
            if !platform.is_hardware() {
                groups.add(&clock(platform), &one.method.0, name.into());
            }
        }
    }
    let &first = platforms.iter().find(|platform| !platform.is_hardware())?;
    let order = "emulation can put methods into another order.";
    if platforms.iter().all(|&platform| platform == first) {
        let of = match first {
            Platform::Unknown => "It is not known whether costs are of hardware's clock".to_owned(),
            other => format!("Costs are of {}, not hardware's", clock(other)),
        };
        return Some(format!("{of}: {order}"));
    }
    let told = groups.into_groups().map(|group| {
        format!("{} of {} ({})", group.items.join(" and "), group.names.join(", "), group.text)
    });
    Some(format!("Not hardware's: {}; {order}", told.collect::<Vec<_>>().join("; ")))
}

fn clock(platform: Platform) -> String {
    match platform {
        Platform::Unknown => "a clock not known to be hardware's".into(),
        other => format!("the {} clock", other.name()),
    }
}

/// Costs that were measured under a hypervisor: they count as hardware's.
fn under_a_hypervisor(found: &Recommendation) -> Option<String> {
    let costs = found.methods.iter().map(|one| &one.cost.cpu_pct);
    costs.filter_map(Figure::known).any(|cost| cost.platform == Platform::Virtual).then(|| {
        "Costs are those of a virtual machine, whose timers, interrupts and page tables pass \
         through a hypervisor. On a host without one they differ, sampling most of all."
            .to_owned()
    })
}

/// What the CPU time is scaled from.
fn rate(found: &Recommendation) -> Option<String> {
    let at = |way: fn(&Way) -> bool| {
        let of = found.methods.iter().filter(move |one| way(&one.cost.way));
        of.filter_map(|one| one.cost.measured_per_s).collect::<Vec<f64>>()
    };
    let Some(rate) = found.wanted.calls_per_s else {
        let paced = span(&at(|way| *way == Way::Measured))?;
        return Some(format!(
            "CPU time is that of the campaign's paced load, {paced} frames per second; --rate \
             scales it to yours."
        ));
    };
    let measured = at(|way| matches!(way, Way::Scaled { .. }));
    let beyond = measured.iter().all(|&most| rate.per_second() > most);
    let what = if beyond {
        "an extrapolation beyond what was measured"
    } else {
        "not measured but scaled"
    };
    Some(format!(
        "CPU time at {rate} is {what}: what a call costs in the closed loop, at {} calls per \
         second, times the rate. Readers of records go with the calls; those of counters, and \
         what is done afterwards, are as at the paced load, as profilers are.",
        span(&measured)?
    ))
}

/// When two are compared, where some are not.
fn comparable(found: &Recommendation) -> Option<String> {
    let any = found.methods.iter().any(|one| one.beside_the_first == Beside::NotComparable);
    any.then(|| {
        "Methods are compared where they have four blocks in common, on the same clock, and show \
         the same: calls, or the same instead. The others stand in the order of their estimates, \
         which may be chance."
            .to_owned()
    })
}

/// From the least to the most, in three digits.
fn span(values: &[f64]) -> Option<String> {
    let least = values.iter().copied().reduce(f64::min)?;
    let most = values.iter().copied().reduce(f64::max)?;
    let [least, most] = [least, most].map(|value| {
        let scale = 10_f64.powf((value.max(1.0).log10().floor() - 2.0).max(0.0));
        format!("{:.0}", (value / scale).round() * scale)
    });
    Some(if least == most { least } else { format!("{least} to {most}") })
}

/// How a number of blocks is to be read, where one is told.
fn blocks(found: &Recommendation) -> Option<String> {
    asks_for_blocks(found).then(|| {
        "Numbers of further blocks are estimates: with so many, Student's interval would no longer \
         hold the limit, if estimate and scatter stay the same. A verdict takes four blocks. Each \
         further look is one more chance to be wrong."
            .to_owned()
    })
}

/// Whether more blocks would tell more of any method.
pub(super) fn asks_for_blocks(found: &Recommendation) -> bool {
    let told =
        |verdict: &Verdict| matches!(verdict, Verdict::CannotTell { more_blocks: Some(_), .. });
    let open = found.methods.iter().filter(|one| one.standing == Standing::CannotTell);
    open.flat_map(|one| &one.checks).any(|check| told(&check.verdict))
}
