//! Sections that differ in only one respect, and how a quantity changes with it.

use crate::analysis::stretch::Slice;
use crate::model::{campaign::Design, reason::Reason, scenario::Rate, sections::SectionFigures};

/// Sections that differ only in the number of hogs, or of senders.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ladder {
    /// Their indices, in the order of the schedule.
    pub(super) sections: Vec<usize>,
    /// The number that differs, for each section.
    pub(super) steps: Vec<f64>,
}

/// A section and its index.
type At<'a> = (usize, &'a SectionFigures);

/// One value of a section, or why there is none.
pub(super) type Level = fn(&[Slice<'_>]) -> Result<f64, Reason>;

impl Ladder {
    /// The sections with the same senders and rate that differ most in hogs.
    pub(super) fn by_hogs(design: &Design, sections: &[SectionFigures]) -> Option<Self> {
        let same = |(a, one): At<'_>, (b, other): At<'_>| {
            one.senders == other.senders && rate(design, a) == rate(design, b)
        };
        Self::longest(sections, same, |section| Some(section.hogs))
    }

    /// The sections without hogs and with the same rate that differ in senders.
    pub(super) fn by_senders(design: &Design, sections: &[SectionFigures]) -> Option<Self> {
        let same = |(a, one): At<'_>, (b, other): At<'_>| {
            one.hogs == 0 && other.hogs == 0 && rate(design, a) == rate(design, b)
        };
        Self::longest(sections, same, |section| section.senders)
    }

    fn longest(
        sections: &[SectionFigures],
        same: impl Fn(At<'_>, At<'_>) -> bool,
        step: impl Fn(&SectionFigures) -> Option<usize>,
    ) -> Option<Self> {
        let of = |first: At<'_>| {
            let alike = sections.iter().enumerate().filter(|&other| same(first, other));
            let (sections, steps) =
                alike.filter_map(|(at, section)| Some((at, number(step(section)?)))).unzip();
            Self { sections, steps }
        };
        let ladders = sections.iter().enumerate().map(of);
        // The first of those with the same length.
        let longest = ladders
            .reduce(|best, next| if next.different() > best.different() { next } else { best })?;
        (longest.different() > 1).then_some(longest)
    }

    fn different(&self) -> usize {
        let mut steps = self.steps.clone();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        steps.len()
    }

    /// The sections, each with its step.
    fn rungs(&self) -> impl Iterator<Item = (usize, f64)> {
        self.sections.iter().copied().zip(self.steps.iter().copied())
    }

    /// Index of the section with the fewest, and of the one with the most.
    pub(super) fn ends(&self) -> Option<[usize; 2]> {
        let at = |step: f64| self.rungs().find(|(_, known)| *known == step).map(|(at, _)| at);
        Some([at(self.least())?, at(self.most())?])
    }

    fn least(&self) -> f64 {
        self.steps.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn most(&self) -> f64 {
        self.steps.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Least-squares slope of `level` over the steps.
    pub(super) fn slope(&self, level: Level, parts: &[Slice<'_>]) -> Result<f64, Reason> {
        let levels = levels(level, parts)?;
        let (x, y) = (mean(&self.steps), mean(&levels));
        let pairs = || self.steps.iter().map(|step| step - x).zip(&levels);
        let across: f64 = pairs().map(|(step, level)| step * (level - y)).sum();
        Ok(across / pairs().map(|(step, _)| step * step).sum::<f64>())
    }

    /// [`Self::slope`] in per cent of the level with the fewest.
    pub(super) fn relative_slope(&self, level: Level, parts: &[Slice<'_>]) -> Result<f64, Reason> {
        let base = self.level_at(self.least(), level, parts)?;
        per_cent(self.slope(level, parts)?, base)
    }

    /// Change of `level` from the fewest to the most, in per cent.
    pub(super) fn change(&self, level: Level, parts: &[Slice<'_>]) -> Result<f64, Reason> {
        let base = self.level_at(self.least(), level, parts)?;
        per_cent(self.level_at(self.most(), level, parts)? - base, base)
    }

    fn level_at(&self, step: f64, level: Level, parts: &[Slice<'_>]) -> Result<f64, Reason> {
        let at: Vec<f64> = levels(level, parts)?
            .into_iter()
            .zip(&self.steps)
            .filter_map(|(level, &known)| (known == step).then_some(level))
            .collect();
        Ok(mean(&at))
    }

    /// Neighbours in the schedule of which the second has more: indices of two sections.
    pub(super) fn rises(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        let pairs = self.rungs().zip(self.rungs().skip(1));
        pairs.filter_map(|((from, few), (to, more))| {
            (more > few && from.checked_add(1) == Some(to)).then_some([from, to])
        })
    }
}

/// Change of `level` from the first part to the second, in per cent.
pub(super) fn step(level: Level, parts: &[Slice<'_>]) -> Result<f64, Reason> {
    match levels(level, parts)?[..] {
        [from, to, ..] => per_cent(to - from, from),
        _ => Err(Reason::OneSection),
    }
}

fn levels(level: Level, parts: &[Slice<'_>]) -> Result<Vec<f64>, Reason> {
    parts.iter().map(|part| level(std::slice::from_ref(part))).collect()
}

fn per_cent(part: f64, whole: f64) -> Result<f64, Reason> {
    if whole > 0.0 { Ok(100.0 * part / whole) } else { Err(Reason::BeginsAtNothing) }
}

fn rate(design: &Design, section: usize) -> Option<f64> {
    let fidelity = &design.scenario.fidelity;
    let own = fidelity.sections.get(section).and_then(|section| section.rate);
    own.or(fidelity.rate).map(Rate::per_second)
}

fn mean(values: &[f64]) -> f64 {
    crate::analysis::correlation::mean(values)
}

pub(super) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::stretch::ratio;

    fn parts<const N: usize>(levels: &[[f64; 2]; N]) -> [Slice<'_>; N] {
        levels.each_ref().map(|a| Slice { a, b: &[1.0; 2], weights: &[1.0; 2] })
    }

    #[test]
    fn slope_and_change_by_hand() {
        let ladder = Ladder { sections: vec![0, 1, 2, 3], steps: vec![0.0, 1.0, 3.0, 0.0] };
        // Mean step 1, mean level 7: Σ(x-1)(y-7) = -1·1 + 0 + 2·(-4) - 1·3 = -12; Σ(x-1)² = 6.
        let levels = [8.0, 7.0, 3.0, 10.0].map(|level| [level; 2]);
        let parts = parts(&levels);
        assert_eq!(ladder.slope(ratio, &parts), Ok(-2.0));
        // Without hogs: 9 on average.
        assert_eq!(ladder.relative_slope(ratio, &parts), Ok(-100.0 * 2.0 / 9.0));
        assert_eq!(ladder.change(ratio, &parts), Ok(-100.0 * 6.0 / 9.0));
        assert_eq!(ladder.ends(), Some([0, 2]));
        assert_eq!(ladder.rises().collect::<Vec<_>>(), [[0, 1], [1, 2]]);
        assert_eq!(step(ratio, &self::parts(&[[4.0; 2], [5.0; 2]])), Ok(25.0));
        assert!(step(ratio, &self::parts(&[[0.0; 2], [5.0; 2]])).is_err());
    }
}
