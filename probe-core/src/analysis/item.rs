//! What a method saw of the target, and how often it actually happened.

use crate::model::{
    item::ItemId,
    method::{Class, Descriptor, SeriesUnit},
    subject::{CALLED_PER_KICK, HIT_PER_FRAME},
    target::Target,
    trial::{Measured, Sent},
};

/// An item of the target: a function, a tracepoint, or the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its id in the target.
    pub id: ItemId,
    /// Its name.
    pub name: &'a str,
}

/// All items of a target.
#[derive(Debug, Clone)]
pub struct Items {
    names: Vec<String>,
    /// Number of functions, which are the first items.
    functions: usize,
}

impl Item<'_> {
    /// Whether the load determines how often it is hit.
    fn is_tied(&self) -> bool {
        self.truth(&Sent { kicks: Some(0), ..Sent::default() }).is_some()
    }

    /// How often a closed-loop load that sent this hit it; `None` if the load does not determine
    /// it.
    pub fn truth(self, sent: &Sent) -> Option<u64> {
        match self.name {
            CALLED_PER_KICK => sent.kicks,
            HIT_PER_FRAME | Target::FRAMES => Some(sent.frames),
            _ => None,
        }
    }
}

impl Items {
    /// The items of `target`.
    pub fn of(target: &Target) -> Self {
        let names = target.items().map(|(_, name)| name).collect();
        Self { names, functions: target.functions.len() }
    }

    fn all(&self) -> impl Iterator<Item = Item<'_>> {
        ItemId::FIRST.onward().zip(&self.names).map(|(id, name)| Item { id, name })
    }

    /// The functions.
    pub fn functions(&self) -> impl Iterator<Item = Item<'_>> {
        self.all().take(self.functions)
    }

    /// The function that each kick of a closed-loop load calls once, if the target has it.
    pub fn kicked(&self) -> Option<Item<'_>> {
        self.functions().find(|item| item.name == CALLED_PER_KICK)
    }

    /// The item by which `method` saw the load in `trial`: the function that each kick calls. For a
    /// method that sees no functions: an item that it saw and whose hits the load determines, or
    /// else the first that it saw.
    pub fn seen(&self, method: &Descriptor, trial: &Measured) -> Option<Item<'_>> {
        let recorded = &trial.observation.recorded;
        let observed = |item: &Item<'_>| recorded.get(item.id).is_some();
        let others = || self.all().skip(self.functions).filter(observed);
        let stand_in = || others().find(Item::is_tied).or_else(|| others().next());
        match self.kicked() {
            Some(kicked) if method.class == Class::Nothing || observed(&kicked) => Some(kicked),
            kicked => stand_in().or(kicked),
        }
    }

    /// What `method` shows in its trials instead of calls, if it sees no functions and the target
    /// has some. A share of CPU time belongs to the function.
    pub fn instead<'t>(
        &self,
        method: &Descriptor,
        mut trials: impl Iterator<Item = &'t Measured>,
    ) -> Option<&str> {
        match method.unit {
            _ if self.functions == 0 => None,
            SeriesUnit::CpuShare => None,
            SeriesUnit::Counter { of } => trials.next().map(|_| of.name()),
            SeriesUnit::Calls { .. } | SeriesUnit::Nothing => {
                let item = trials.find_map(|trial| self.seen(method, trial))?;
                (item.id.0 >= self.functions).then_some(item.name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::trial::{Outcome, Pace, Part},
    };

    #[test]
    fn a_method_that_sees_no_function_is_known_by_what_it_saw() {
        let items = Items {
            names: ["handle_tx", HIT_PER_FRAME, Target::FRAMES].map(String::from).into(),
            functions: 1,
        };
        let seen_of = |items: &Items, recorded: [Option<u64>; 3]| {
            let mut lab = Lab::new();
            lab.run(crate::model::figure::Platform::Native);
            let kind = (Part::Overhead, Pace::ClosedLoop);
            lab.done(0, kind, "ftrace-function", |measured| {
                measured.observation.recorded = recorded.to_vec().into();
            });
            let Outcome::Done(measured) = &lab.trials[0].outcome else { panic!("it was done") };
            items.seen(lab.method("ftrace-function"), measured).map(|item| item.name.to_owned())
        };
        let seen = |recorded| seen_of(&items, recorded);
        assert_eq!(seen([Some(1), Some(2), None]).as_deref(), Some("handle_tx"));
        assert_eq!(seen([None, Some(2), Some(3)]).as_deref(), Some(HIT_PER_FRAME));
        assert_eq!(seen([None, None, Some(3)]).as_deref(), Some("frames"));
        // A tracepoint whose hits the load does not determine comes last.
        let untied = Items {
            names: ["handle_tx", "a:b", HIT_PER_FRAME].map(String::from).into(),
            functions: 1,
        };
        assert_eq!(seen_of(&untied, [None, Some(2), Some(3)]).as_deref(), Some(HIT_PER_FRAME));
        // It saw nothing: the question is still about the function.
        assert_eq!(seen([None; 3]).as_deref(), Some("handle_tx"));
    }

    #[test]
    fn what_shows_no_function_is_known_by_any_of_its_trials() {
        let mut lab = Lab::new();
        lab.run(crate::model::figure::Platform::Native);
        let kind = (Part::Fidelity, Pace::Saturated);
        for (method, recorded) in [
            ("bpf-fentry-count", vec![Some(1), Some(2), None]),
            ("ftrace-function", vec![None, None, Some(3)]),
            ("perf-sample-999-callchain", vec![None, None, Some(3)]),
        ] {
            lab.failed(0, kind, method, "lost its load");
            lab.done(1, kind, method, |m| m.observation.recorded = recorded.into());
        }
        let campaign = lab.campaign();
        let instead = |id: &str| {
            let mut all = campaign.summary.methods.iter();
            all.find(|method| method.id.0 == id).unwrap().shows_instead.as_deref()
        };
        assert_eq!(instead("bpf-fentry-count"), None);
        assert_eq!(instead("ftrace-function"), Some("frames"));
        // A share belongs to the function, whatever recorded its samples.
        assert_eq!(instead("perf-sample-999-callchain"), None);
    }

    #[test]
    fn the_load_tells_what_it_caused_and_nothing_else() {
        let sent = Sent { kicks: Some(7), frames: 9, ..Sent::default() };
        let truth = |name| Item { id: ItemId(0), name }.truth(&sent);
        assert_eq!(truth("handle_tx"), Some(7));
        assert_eq!(truth(HIT_PER_FRAME), Some(9));
        assert_eq!(truth("frames"), Some(9));
        assert_eq!(truth("handle_rx"), None);
    }
}
