//! Conditions under which a comparison fails: `overhead.kernel_ns_per_event>5%`.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::{Change, Gone, Worse};
use crate::{analysis::doubt::Doubt, model::method::MethodId};

/// `[METHOD:]FIGURE>LIMIT`: the figure must not get worse by more than the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Only this method; none takes every method that has the figure.
    method: Option<MethodId>,
    /// The figure's path in the summary of a method.
    figure: String,
    /// Per cent of the base.
    per_cent: f64,
    /// And so much more, in the figure's unit.
    absolute: f64,
    /// As it was written.
    text: String,
}

/// A gate, and what it says of each method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The gate.
    pub gate: Gate,
    /// One per method that it speaks of.
    pub methods: Vec<Answer>,
}

/// What a gate says of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The method; the gate's own words where it found none.
    pub method: MethodId,
    /// By how much it is worse, in the figure's unit; less than zero is better.
    pub worse_by: Option<f64>,
    /// By how much it may be.
    pub limit: Option<f64>,
    /// The smallest difference that would have been seen.
    pub resolution: Option<f64>,
    /// The smallest true difference that fails the gate in four of five comparisons: a difference
    /// equal to the limit does so in every other one.
    pub fails_from: Option<f64>,
    /// What follows.
    #[serde(flatten)]
    pub judgement: Judgement,
}

/// What a gate comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "judgement")]
pub enum Judgement {
    /// It is not worse by more than the limit, or that may be chance.
    Passed,
    /// It is worse by more than the limit, beyond chance.
    Failed,
    /// These campaigns cannot say.
    Refused {
        /// Why, and what would help; of a figure that has gone, why it has.
        why: Doubt,
    },
}

impl Gate {
    /// The path of the figure that it watches.
    pub fn figure(&self) -> &str {
        &self.figure
    }

    /// Its answer for each method that it speaks of.
    pub(super) fn judge(&self, changes: &[Change], gone: &[Gone]) -> Judged {
        let ours = |method: &MethodId, figure: &str| {
            figure == self.figure && self.method.as_ref().is_none_or(|only| only == method)
        };
        let compared = changes.iter().filter(|change| ours(&change.method, &change.figure));
        let missing = gone.iter().filter(|gone| ours(&gone.method, &gone.figure));
        let missing =
            missing.map(|gone| refused(gone.method.clone(), Doubt::Absent(gone.why.clone())));
        let mut methods: Vec<Answer> =
            compared.map(|change| self.answer(change)).chain(missing).collect();
        if methods.is_empty() {
            let whose = self.method.clone().unwrap_or(MethodId("any method".into()));
            methods.push(refused(whose, self.nowhere(changes).into()));
        }
        Judged { gate: self.clone(), methods }
    }

    /// Why it speaks of no method, with what it may have meant.
    fn nowhere(&self, changes: &[Change]) -> String {
        let theirs = changes.iter().filter(|change| change.figure == self.figure);
        let theirs: Vec<&str> = theirs.map(|change| change.method.0.as_str()).collect();
        if !theirs.is_empty() {
            return format!(
                "no method of this name has it; methods that do: {}",
                theirs.join(", ")
            );
        }
        // What stands above the name is left out most often.
        let distance = |path: &&str| strsim::osa_distance(last(&self.figure), last(path));
        let nearest = changes.iter().map(|change| change.figure.as_str()).min_by_key(distance);
        let meant = match nearest.filter(|path| distance(path) <= last(path).len() / 3) {
            Some(nearest) => format!(". Did you mean {nearest}?"),
            None => ";".to_owned(),
        };
        format!(
            "no method has this figure in both campaigns{meant} `--format json` lists those that \
             are compared"
        )
    }

    fn answer(&self, change: &Change) -> Answer {
        let difference = &change.difference;
        let worse_by = match change.worse {
            Worse::Up => difference.difference,
            Worse::Down => -difference.difference,
        };
        let limit = self.per_cent / 100.0 * change.base.estimate.abs() + self.absolute;
        let judgement = match difference.resolution {
            None => Judgement::Refused { why: "one block has no interval; measure several".into() },
            Some(resolution) if limit < resolution => {
                Judgement::Refused { why: too_fine(change, limit, resolution).into() }
            }
            Some(_) if worse_by > limit && difference.excludes_zero() => Judgement::Failed,
            Some(_) => Judgement::Passed,
        };
        Answer {
            method: change.method.clone(),
            worse_by: Some(worse_by),
            limit: Some(limit),
            resolution: difference.resolution,
            fails_from: difference.resolution.map(|least| least.max(limit + difference.beyond)),
            judgement,
        }
    }
}

/// The name at the end of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// Why a limit below the resolution is no gate, and what would be.
fn too_fine(change: &Change, limit: f64, resolution: f64) -> String {
    let told = format!("a difference of {limit:.3} is below the resolution, {resolution:.3}");
    match change.difference.repeatability {
        Some(least) if limit < least => format!(
            "{told}: the counted clock repeats within {least:.3} at best. Set the limit above it, \
             as in `>5%+{:.0}`",
            resolution.ceil()
        ),
        _ => {
            let n = change.base.n.min(change.new.n);
            let blocks = blocks_for(n, resolution / limit);
            format!(
                "{told}. About {blocks} blocks in both campaigns would do, where this one had {n}"
            )
        }
    }
}

/// The scatter of a mean falls with the root of the number of blocks.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of blocks, rounded up"
)]
fn blocks_for(n: usize, times: f64) -> u64 {
    (n as f64 * times * times).ceil() as u64
}

fn refused(method: MethodId, why: Doubt) -> Answer {
    let judgement = Judgement::Refused { why };
    Answer { method, worse_by: None, limit: None, resolution: None, fails_from: None, judgement }
}

impl Judged {
    /// Whether any method was judged so.
    pub fn any(&self, is: impl Fn(&Judgement) -> bool) -> bool {
        self.methods.iter().any(|answer| is(&answer.judgement))
    }

    /// Methods that it says nothing of, with the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&Gate, &MethodId, &Doubt)> {
        self.methods.iter().filter_map(|answer| match &answer.judgement {
            Judgement::Refused { why } => Some((&self.gate, &answer.method, why)),
            Judgement::Passed | Judgement::Failed => None,
        })
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            "write [METHOD:]FIGURE>LIMIT, as in overhead.kernel_ns_per_event>5%, >12 or >5%+12";
        let wrong = |why: &str| format!("{why}; {wanted}");
        let (subject, limit) = text.rsplit_once('>').ok_or_else(|| wrong("there is no `>`"))?;
        // Ids hold colons, paths of figures do not.
        let (method, figure) = match subject.trim().rsplit_once(':') {
            Some((method, figure)) => (Some(MethodId(method.to_owned())), figure),
            None => (None, subject.trim()),
        };
        if figure.is_empty() {
            return Err(wrong("it names no figure"));
        }
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(wrong(&format!("`{}` is no number from 0 up", text.trim()))),
        };
        let (per_cent, absolute) = match limit.split_once('%') {
            None => (0.0, number(limit)?),
            Some((per_cent, rest)) => match rest.trim().strip_prefix('+') {
                None if rest.trim().is_empty() => (number(per_cent)?, 0.0),
                None => return Err(wrong("behind `%` only `+` may stand")),
                Some(more) => (number(per_cent)?, number(more)?),
            },
        };
        if per_cent + absolute == 0.0 {
            return Err(wrong("no difference is below a limit of zero"));
        }
        Ok(Self { method, figure: figure.to_owned(), per_cent, absolute, text: text.to_owned() })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Gate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::compare::{Comparison, compare},
        analysis::fixture::Lab,
        model::{
            campaign::Campaign,
            figure::Platform,
            trial::{Pace, Part},
            units::Nanos,
        },
    };

    fn parsed(text: &str) -> (Option<String>, String, f64, f64) {
        let gate: Gate = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
        (gate.method.map(|id| id.0), gate.figure, gate.per_cent, gate.absolute)
    }

    #[test]
    fn a_gate_names_a_figure_perhaps_a_method_and_a_limit() {
        let cost = || "overhead.kernel_ns_per_event".to_owned();
        assert_eq!(parsed("overhead.kernel_ns_per_event>5%"), (None, cost(), 5.0, 0.0));
        assert_eq!(parsed("overhead.kernel_ns_per_event > 5 % + 10"), (None, cost(), 5.0, 10.0));
        assert_eq!(
            parsed("ftrace-function:clock=local:overhead.kernel_ns_per_event>12.5"),
            (Some("ftrace-function:clock=local".into()), cost(), 0.0, 12.5)
        );
        let why = |text: &str| text.parse::<Gate>().unwrap_err();
        assert!(why("overhead.kernel_ns_per_event").contains("there is no `>`"));
        assert!(why("off:>5%").contains("names no figure"));
        assert!(why("r>five").contains("`five` is no number"));
        assert!(why("r>-1").contains("no number from 0 up"));
        assert!(why("r>5%10").contains("only `+`"));
        assert!(why("r>0").contains("limit of zero"));
        assert!(why("r>NaN%").contains("no number"));
    }

    /// Blocks of the counter whose costs are these.
    fn costs(platform: Platform, costs: &[u64]) -> Campaign {
        let mut lab = Lab::new();
        lab.run(platform);
        for (block, cost) in (0..).zip(costs) {
            for (method, cost) in [("off", 0), ("bpf-fentry-count", *cost)] {
                lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                });
            }
        }
        lab.campaign()
    }

    fn judged(platform: Platform, [base, new]: [&[u64]; 2], gate: &str) -> Comparison {
        let gate = gate.parse().unwrap();
        compare(&costs(platform, base), &costs(platform, new), &[gate]).unwrap()
    }

    fn why(comparison: &Comparison) -> String {
        let (gate, method, why) = comparison.refused().next().expect("it is refused");
        let Doubt::Text(why) = why else { panic!("{why:?}") };
        format!("{gate}, {method}: {why}")
    }

    #[test]
    fn a_gate_fails_above_its_limit_and_beyond_chance_only() {
        let base = &[400, 402, 398, 401, 399];
        let gate = |new: &[u64], gate| {
            let found = judged(Platform::Native, [base, new], gate);
            assert_eq!(found.refused().count(), 0, "{:?}", found.gates);
            found.is_worse()
        };
        let worse = &[440, 442, 438, 441, 439];
        assert!(gate(worse, "overhead.kernel_ns_per_event>5%"));
        assert!(gate(worse, "bpf-fentry-count:overhead.kernel_ns_per_event>39"));
        // It is worse, but by less.
        assert!(!gate(worse, "overhead.kernel_ns_per_event>11%"));
        assert!(!gate(worse, "overhead.kernel_ns_per_event>5%+25"));
        // Better is no failure.
        assert!(!gate(&[300, 302, 298, 301, 299], "overhead.kernel_ns_per_event>5%"));
        // One block scatters so much that this may be chance; the limit is just above the
        // resolution.
        assert!(!gate(&[400, 402, 398, 401, 600], "overhead.kernel_ns_per_event>160"));
    }

    #[test]
    fn a_limit_below_the_resolution_is_refused_with_what_would_help() {
        let base = &[400, 410, 390, 405, 395];
        let refused = judged(Platform::Native, [base, base], "overhead.kernel_ns_per_event>1%");
        let said = why(&refused);
        assert!(!refused.is_worse(), "{said}");
        assert!(
            said.starts_with(
                "overhead.kernel_ns_per_event>1%, bpf-fentry-count: a difference of 4.000 is below"
            ),
            "{said}"
        );
        assert!(said.contains("blocks in both campaigns would do, where this one had 5"), "{said}");
        let one =
            judged(Platform::Native, [&base[..1], &base[..1]], "overhead.kernel_ns_per_event>50%");
        assert!(why(&one).contains("one block has no interval; measure several"));
        // More blocks do not make the counted clock repeat better.
        let counted = judged(Platform::Counted, [base, base], "overhead.kernel_ns_per_event>2%");
        assert!(
            why(&counted)
                .contains("repeats within 10.000 at best. Set the limit above it, as in `>5%+10`")
        );
    }

    #[test]
    fn a_gate_on_nothing_is_refused() {
        let base = &[400, 402];
        for (gate, hint) in [
            (
                "overhead.kernel_ns_per_evnt>5%",
                "campaigns. Did you mean overhead.kernel_ns_per_event?",
            ),
            ("kernel_ns_per_event>5%", "campaigns. Did you mean overhead.kernel_ns_per_event?"),
            ("overhead.nonsense>5%", "no method has this figure in both campaigns; `--"),
            (
                "ftrace-funktion:overhead.kernel_ns_per_event>5%",
                "no method of this name has it; methods that do: bpf-fentry-count",
            ),
        ] {
            let found = judged(Platform::Native, [base, base], gate);
            let said = why(&found);
            assert!(said.contains(hint), "{said}");
        }
    }
}
