//! The paper's statements (Fujita, Abe and Lee) beside the measured values.
//! docs/src/explanation/paper.md has the rules.

mod claim;
mod ladder;
mod shares;
mod statements;

use super::{
    estimate::{Bounds, Scale},
    interval::ALPHA,
    item::{Item, Items},
    pairs::Trials,
    stretch::{Binned, Slice, Stretches},
};
use crate::model::{
    campaign::{Design, MethodSummary},
    figure::Figure,
    method::MethodId,
    paper::Statement,
    reason::Reason,
    sections::{MethodInSection, SectionFigures},
    subject::{self, CALLED_PER_KICK},
    trial::Measured,
};

/// The data from which statements are judged.
pub(super) struct Context<'a> {
    pub(super) design: &'a Design,
    pub(super) trials: &'a Trials<'a>,
    pub(super) items: &'a Items,
    /// The methods' other figures.
    pub(super) methods: &'a [MethodSummary],
    pub(super) sections: &'a [SectionFigures],
    pub(super) seed: u64,
}

/// Every statement; none if the guests do not use TCP, which the paper is about, or if no trial
/// succeeded.
pub(super) fn statements(context: &Context<'_>) -> Vec<Statement> {
    let ran = !context.sections.is_empty();
    if !(ran && context.design.scenario.guests.kind.speaks_tcp()) {
        return Vec::new();
    }
    let mut all = statements::all(context);
    all.extend(shares::all(context));
    all
}

impl Context<'_> {
    /// A figure of these sections under `method`, with one value per block.
    fn figure(
        &self,
        method: &MethodId,
        sections: &[usize],
        series: impl Fn(&Measured) -> Result<Binned, Reason>,
        value: impl Fn(&[Slice<'_>]) -> Result<f64, Reason>,
    ) -> Figure {
        self.figure_at(ALPHA, (method, sections), series, value)
    }

    /// [`Self::figure`] with an interval at `1 - alpha`.
    fn figure_at(
        &self,
        alpha: f64,
        (method, sections): (&MethodId, &[usize]),
        series: impl Fn(&Measured) -> Result<Binned, Reason>,
        value: impl Fn(&[Slice<'_>]) -> Result<f64, Reason>,
    ) -> Figure {
        match Stretches::of(self.trials, method, sections, self.seed) {
            Ok(found) => found.at(alpha).figure(Scale::Level(Bounds::None), series, value),
            Err(why) => Figure::null(why),
        }
    }

    fn label(&self, section: usize) -> &str {
        self.sections.get(section).map_or("", |section| &section.label)
    }

    fn function(&self, name: &str) -> Option<Item<'_>> {
        self.items.functions().find(|item| item.name == name)
    }

    /// Those of the two handlers that are in the target.
    fn handlers(&self) -> Vec<Item<'_>> {
        subject::SEND
            .functions()
            .chain(subject::RECEIVE.functions())
            .filter_map(|name| self.function(name))
            .collect()
    }

    /// How many frames one call took in these sections under the baseline: if it changes, calls and
    /// throughput change differently.
    fn batching(&self, sections: [usize; 2]) -> Option<String> {
        self.both(sections, |method| &method.frames_per_call)
            .map(|told| format!("frames per call of {CALLED_PER_KICK}: {told}"))
    }

    /// How long tasks waited for the sink's CPU: if that is long, the sink and not the device under
    /// test limited the load.
    fn sink_waits(&self, sections: [usize; 2]) -> Option<String> {
        self.both(sections, |method| &method.sink_run_delay_pct)
            .map(|told| format!("waiting for the sink's CPU, % of the time: {told}"))
    }

    /// A figure of two sections under the baseline.
    fn both(&self, sections: [usize; 2], of: fn(&MethodInSection) -> &Figure) -> Option<String> {
        let told = sections.map(|index| {
            let section = self.sections.get(index)?;
            let off = section.methods.iter().find(|method| method.id.is_off())?;
            Some(format!("{:.1} in `{}`", of(off).known()?.estimate, section.label))
        });
        let [first, second] = told;
        Some(format!("{}, {}", first?, second?))
    }
}

/// The baseline.
fn off() -> MethodId {
    MethodId(MethodId::OFF.into())
}

#[cfg(test)]
mod tests;
