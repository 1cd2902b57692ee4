//! The paper's statements (Fujita, Abe and Lee) beside what was measured. The rules are in
//! docs/src/explanation/paper.md.

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

/// What the statements are judged by.
pub(super) struct Context<'a> {
    pub(super) design: &'a Design,
    pub(super) trials: &'a Trials<'a>,
    pub(super) items: &'a Items,
    /// The methods' other figures.
    pub(super) methods: &'a [MethodSummary],
    pub(super) sections: &'a [SectionFigures],
    pub(super) seed: u64,
}

/// Every statement; none where guests do not speak TCP, since the paper is about such, or where no
/// trial ended well.
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
    /// A figure of these sections under `method`, one value per block.
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

    /// The two handlers, those of them that are in the target.
    fn handlers(&self) -> Vec<Item<'_>> {
        subject::SEND
            .functions()
            .chain(subject::RECEIVE.functions())
            .filter_map(|name| self.function(name))
            .collect()
    }

    /// How many frames one call took in these sections under the baseline: what moves calls and
    /// throughput apart.
    fn batching(&self, sections: [usize; 2]) -> Option<String> {
        self.both(sections, |method| &method.frames_per_call)
            .map(|told| format!("frames per call of {CALLED_PER_KICK}: {told}"))
    }

    /// How long the sink's CPU was waited for: where that is much, it and not the device under test
    /// held the load back.
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
