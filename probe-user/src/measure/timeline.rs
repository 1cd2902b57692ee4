//! When a fidelity trial changes what guests and hogs do.

use std::collections::BTreeMap;

use probe_core::model::{
    scenario::{GuestKind, Scenario, Section},
    trial::{Degradation, DegradationKind, SectionMark},
    units::Nanos,
};

use super::bench::bins;
use crate::workload::{Offered, Orders};

/// A change, at the edge that a bin begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// What is ordered from here on.
    pub(super) orders: Orders,
    /// The section that begins.
    pub(super) section: Option<usize>,
    /// What gets worse until the next step.
    pub(super) worse: Option<DegradationKind>,
}

/// A schedule in steps, with what is noted while it goes on.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The sections.
    pub(super) marks: Vec<SectionMark>,
    /// The degradations that have begun.
    pub(super) degradations: Vec<Degradation>,
    steps: BTreeMap<usize, Step>,
}

impl Timeline {
    /// The schedule of `scenario`; what is drawn of it, from `seed`.
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let schedule = scenario.fidelity.schedule(scenario.bin, seed);
        let (mut marks, mut steps) = (Vec::new(), BTreeMap::new());
        let mut first_bin = 0;
        for (number, section) in schedule.sections.iter().enumerate() {
            let orders = orders(scenario, section);
            let end = first_bin + bins(section.duration, scenario.bin);
            steps.insert(first_bin, Step { orders, section: Some(number), worse: None });
            for planned in &schedule.degradations {
                if !(first_bin..end).contains(&planned.bins.start) {
                    continue;
                }
                let rate = planned.rate;
                let worse = Section { hogs: planned.hogs, rate, ..section.clone() };
                let worse = self::orders(scenario, &worse);
                let kind = Some(planned.kind);
                steps
                    .insert(planned.bins.start, Step { orders: worse, section: None, worse: kind });
                // At a section's end the next one's step takes its place.
                let back = Step { orders, section: None, worse: None };
                steps.insert(planned.bins.end, back);
            }
            marks.push(mark(scenario, section, first_bin));
            first_bin = end;
        }
        Self { marks, degradations: Vec::new(), steps }
    }

    /// The first section's.
    pub(super) fn first(&self) -> Option<Orders> {
        self.steps.values().next().map(|step| step.orders)
    }

    /// What changes at this edge.
    pub(super) fn step(&self, edge: usize) -> Option<Step> {
        self.steps.get(&edge).copied()
    }

    /// Notes that a step was taken so long behind the first edge, or that the trial ended there.
    pub(super) fn took(&mut self, worse: Option<DegradationKind>, at: Nanos) {
        let at = at.as_secs();
        if let Some(last) = self.degradations.last_mut().filter(|last| last.to_s.is_infinite()) {
            last.to_s = at;
        }
        let begun = worse.map(|kind| Degradation { from_s: at, to_s: f64::INFINITY, kind });
        self.degradations.extend(begun);
    }
}

fn mark(scenario: &Scenario, section: &Section, first_bin: usize) -> SectionMark {
    let ours = scenario.guests.kind != GuestKind::Existing;
    SectionMark {
        first_bin,
        hogs: section.hogs,
        senders: ours.then_some(section.senders.unwrap_or(scenario.guests.count)),
        name: section.name.clone(),
        sink_run_delay: Nanos(0),
    }
}

fn orders(scenario: &Scenario, section: &Section) -> Orders {
    let Scenario { guests, fidelity, .. } = scenario;
    let batch = guests.batch;
    let offered = match section.rate.or(fidelity.rate) {
        Some(rate) => Offered::Paced { rate, batch, per_kick: section.per_kick.unwrap_or(1) },
        None => Offered::Saturated { batch },
    };
    let senders = section.senders.unwrap_or(guests.count);
    Orders { offered, senders, hogs: section.hogs }
}

#[cfg(test)]
mod tests {
    use probe_core::model::scenario::Rate;

    use super::*;
    use crate::workload::scenarios;

    fn rate(step: &Step) -> Option<f64> {
        match step.orders.offered {
            Offered::Paced { rate, .. } => Some(Rate::per_second(rate)),
            _ => None,
        }
    }

    #[test]
    fn every_degradation_goes_back_to_its_section() {
        let scenario = scenarios::load("diagnose").unwrap();
        for seed in 0..20 {
            let timeline = Timeline::new(&scenario, seed);
            let (mut section, mut worse): (Option<Step>, Option<Step>) = (None, None);
            let mut begun = 0;
            for step in timeline.steps.values() {
                match (step.section, step.worse) {
                    (Some(_), None) => section = Some(*step),
                    (None, Some(kind)) => {
                        assert!(worse.is_none());
                        begun += 1;
                        let before = section.as_ref().unwrap();
                        match kind {
                            DegradationKind::Hogs => assert!(step.orders.hogs > before.orders.hogs),
                            DegradationKind::Rate => assert!(rate(step) < rate(before)),
                        }
                        worse = Some(*step);
                        continue;
                    }
                    (None, None) => {
                        assert!(worse.is_some());
                        assert_eq!(step.orders, section.as_ref().unwrap().orders);
                    }
                    (Some(_), Some(_)) => panic!("{step:?}"),
                }
                worse = None;
            }
            assert_eq!(begun, scenario.fidelity.drawn.as_ref().unwrap().degradations.count);
        }
    }

    #[test]
    fn a_degradation_is_noted_from_its_step_to_the_next() {
        let scenario = scenarios::load("diagnose").unwrap();
        let mut timeline = Timeline::new(&scenario, 1);
        let (hogs, rate) = (DegradationKind::Hogs, DegradationKind::Rate);
        for (worse, ms) in
            [(None, 0), (Some(hogs), 100), (None, 400), (Some(rate), 900), (None, 1200)]
        {
            timeline.took(worse, Nanos(ms * 1_000_000));
        }
        let noted = |from_s, to_s, kind| Degradation { from_s, to_s, kind };
        assert_eq!(timeline.degradations, [noted(0.1, 0.4, hogs), noted(0.9, 1.2, rate)]);
    }
}
