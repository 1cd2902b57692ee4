//! The trials from which a figure is computed: those of one kind on one clock, each with the
//! baseline of its own block.

use std::collections::BTreeMap;

use crate::model::{
    campaign::Run,
    figure::Platform,
    method::MethodId,
    note::Note,
    reason::{Reason, TrialKind},
    trial::{Measured, Outcome, Pace, Part, Trial},
};

/// Everything that was measured.
#[derive(Debug, Clone, Copy)]
pub struct Trials<'a> {
    /// The processes that measured.
    pub runs: &'a [Run],
    /// Their trials, including failed ones.
    pub all: &'a [Trial],
}

/// Which trials a figure is made from.
#[derive(Debug, Clone, Copy)]
pub struct TrialFilter {
    /// What the trial is for.
    pub part: Part,
    /// How the load is offered; `None` accepts any pace.
    pub pace: Option<Pace>,
    /// Whether the reference counter runs beside it.
    pub with_reference: bool,
    /// Number of functions in trials on a smaller target; `None` for trials on all of them.
    pub functions: Option<usize>,
}

/// The trials behind one figure, ordered by block.
#[derive(Debug, Clone)]
pub struct Chosen<T> {
    /// Their blocks.
    pub blocks: Vec<Block>,
    /// What was measured, one per block.
    pub items: Vec<T>,
    /// The clock of all of them.
    pub platform: Platform,
    /// What a reader must know about the choice.
    pub notes: Vec<Note>,
}

/// A trial under the baseline and one under the method, from the same block.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Under the baseline.
    pub off: &'a Measured,
    /// Under the method.
    pub method: &'a Measured,
}

/// A block on one machine, and the pace; trials with the same key form a pair.
type Key = (usize, u32, Pace);

/// Values by clock and place; failed trials are kept as gaps.
type Rows<Place, T> = BTreeMap<Platform, BTreeMap<Place, Option<T>>>;

/// A block of one run.
pub type Block = (usize, u32);

fn of_key((run, block, _): Key) -> Block {
    (run, block)
}

impl TrialFilter {
    /// Overhead trials at `pace`: the method alone.
    pub const fn overhead(pace: Pace) -> Self {
        Self { part: Part::Overhead, pace: Some(pace), with_reference: false, functions: None }
    }

    /// Fidelity trials: the method and the reference counter.
    pub const FIDELITY: Self =
        Self { part: Part::Fidelity, pace: None, with_reference: true, functions: None };

    /// Whether `trial` is of this kind.
    pub(super) fn holds(self, trial: &Trial) -> bool {
        trial.part == self.part
            && trial.with_reference == self.with_reference
            && trial.functions == self.functions
            && self.pace.is_none_or(|pace| trial.pace == pace)
    }

    /// Its name in a reason.
    fn named(self) -> TrialKind {
        TrialKind { part: self.part, pace: self.pace }
    }
}

impl<'a> Trials<'a> {
    /// The successful trials of `method`, of any kind and on any clock.
    pub fn done(self, method: &MethodId) -> impl Iterator<Item = (Part, Pace, &'a Measured)> {
        self.all.iter().filter(move |trial| trial.method == *method).filter_map(
            |trial| match &trial.outcome {
                Outcome::Done(measured) => Some((trial.part, trial.pace, &**measured)),
                Outcome::Failed { .. } => None,
            },
        )
    }

    /// The trials of `method`, unpaired.
    ///
    /// # Errors
    /// Why there is none.
    pub fn single(
        &self,
        kind: TrialFilter,
        method: &MethodId,
    ) -> Result<Chosen<&'a Measured>, Reason> {
        let rows = self.rows(kind, method);
        choose(&rows, of_key).ok_or_else(|| self.why_none(kind, method))
    }

    /// The trials of `method`, each with the baseline's from the same block.
    ///
    /// # Errors
    /// Why there is no pair.
    pub fn paired(&self, kind: TrialFilter, method: &MethodId) -> Result<Chosen<Pair<'a>>, Reason> {
        self.between(kind, &MethodId(MethodId::OFF.into()), kind, method)
    }

    /// The trials of `second` in its kind, each with that of `first` in its own kind from the same
    /// block at the same pace.
    ///
    /// # Errors
    /// Why there is no pair.
    pub fn between(
        &self,
        first_kind: TrialFilter,
        first: &MethodId,
        second_kind: TrialFilter,
        second: &MethodId,
    ) -> Result<Chosen<Pair<'a>>, Reason> {
        let both = self.pairs(first_kind, first, second_kind, second);
        choose(&both, of_key).ok_or_else(|| {
            let mut why = [(first_kind, first), (second_kind, second)]
                .into_iter()
                .filter(|(kind, method)| self.single(*kind, method).is_err())
                .map(|(kind, method)| self.why_none(kind, method));
            why.next().unwrap_or_else(|| Reason::NoCommonBlock {
                trials: vec![second_kind.named()],
                methods: [first.clone(), second.clone()],
            })
        })
    }

    /// Like [`Self::paired`] for each of these kinds, for blocks that have all of them.
    ///
    /// # Errors
    /// Why there is none.
    pub fn paired_in_each(
        &self,
        kinds: &[TrialFilter],
        method: &MethodId,
    ) -> Result<Chosen<Vec<Pair<'a>>>, Reason> {
        let off = MethodId(MethodId::OFF.into());
        let mut of_kind = kinds.iter().map(|&kind| by_block(&self.pairs(kind, &off, kind, method)));
        let first = of_kind.next().ok_or(Reason::NoTrials)?;
        let all =
            of_kind.fold(first, |all, next| joined(&all, &next, |all, next| [all, next].concat()));
        if let Some(chosen) = choose(&all, |block| block) {
            return Ok(chosen);
        }
        for &kind in kinds {
            self.paired(kind, method)?;
        }
        let trials = kinds.iter().map(|kind| kind.named()).collect();
        Err(Reason::NoCommonBlock { trials, methods: [off, method.clone()] })
    }

    fn pairs(
        &self,
        first_kind: TrialFilter,
        first: &MethodId,
        second_kind: TrialFilter,
        second: &MethodId,
    ) -> Rows<Key, Pair<'a>> {
        let (firsts, seconds) = (self.rows(first_kind, first), self.rows(second_kind, second));
        joined(&firsts, &seconds, |off, method| Pair { off, method })
    }

    fn rows(&self, kind: TrialFilter, method: &MethodId) -> Rows<Key, &'a Measured> {
        let mut rows: Rows<Key, &'a Measured> = BTreeMap::new();
        for trial in self.all.iter().filter(|trial| trial.method == *method && kind.holds(trial)) {
            let Some(run) = self.runs.get(trial.run) else { continue };
            let slot = rows
                .entry(run.platform)
                .or_default()
                .entry((trial.run, trial.block, trial.pace))
                .or_default();
            if let Outcome::Done(measured) = &trial.outcome {
                slot.get_or_insert(measured);
            }
        }
        rows
    }

    fn why_none(&self, kind: TrialFilter, method: &MethodId) -> Reason {
        let mut tried = self.all.iter().filter(|t| t.method == *method && kind.holds(t));
        let (trials, method) = (kind.named(), method.clone());
        match tried.next().map(|trial| &trial.outcome) {
            None => Reason::NoTrial { trials, method },
            Some(Outcome::Failed { why }) => {
                Reason::AllFailed { trials, method, first: why.clone() }
            }
            Some(Outcome::Done(_)) => Reason::NoRun { trials, method },
        }
    }
}

/// Joins values at the same place and clock; a gap if one of the two is missing.
fn joined<Place: Copy + Ord, A: Clone, B>(
    a: &Rows<Place, A>,
    b: &Rows<Place, A>,
    both: impl Fn(A, A) -> B,
) -> Rows<Place, B> {
    let mut all: Rows<Place, B> = BTreeMap::new();
    for (platform, row) in a.iter().chain(b) {
        for place in row.keys() {
            let found = |rows: &Rows<Place, A>| rows.get(platform)?.get(place)?.clone();
            let pair = found(a).zip(found(b)).map(|(a, b)| both(a, b));
            all.entry(*platform).or_default().insert(*place, pair);
        }
    }
    all
}

/// For trials at one pace, which then need not be part of the key.
fn by_block<T: Copy>(rows: &Rows<Key, T>) -> Rows<Block, Vec<T>> {
    let of_row = |row: &BTreeMap<Key, Option<T>>| {
        row.iter()
            .map(|(&(run, block, _), &found)| ((run, block), found.map(|one| vec![one])))
            .collect()
    };
    rows.iter().map(|(&platform, row)| (platform, of_row(row))).collect()
}

/// Takes the preferred clock that has any complete row, and notes what is left out. Clocks are
/// never mixed.
fn choose<Place: Copy, T: Clone>(
    rows: &Rows<Place, T>,
    block: impl Fn(Place) -> Block,
) -> Option<Chosen<T>> {
    let (&platform, row) = rows.iter().find(|(_, row)| row.values().any(Option::is_some))?;
    let whole = row.iter().filter_map(|(&place, item)| Some((block(place), item.clone()?)));
    let (blocks, items): (Vec<Block>, Vec<T>) = whole.unzip();
    let mut notes = Vec::new();
    if items.len() < row.len() {
        let missing = row.len().saturating_sub(items.len());
        notes.push(Note::BlocksMissing { missing, blocks: row.len() });
    }
    if rows.len() > 1 {
        notes.push(Note::OtherClocks);
    }
    Some(Chosen { blocks, items, platform, notes })
}
