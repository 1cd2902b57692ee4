//! Tests on the running kernel that the reference counter's sites count the same as the functions
//! themselves.

use probe_core::{
    error::{Error, Result},
    model::{
        campaign::ReferenceCheck,
        target::{Function, Target},
    },
};

use super::{ReferenceCounter, sites};
use crate::kernel::{
    bpf::{
        chosen::Programs,
        counter::Counter,
        loader::{Loader, Spot},
    },
    cpus,
    run::PREFIX,
};

/// Both counts of a target's functions.
struct Pairs {
    own: Vec<Counter>,
    reference: ReferenceCounter,
}

/// Counts both while `load` runs, which must be idle when it returns: the two counts must be equal.
/// Functions without a site are left out. For a function that the load did not call, both are zero,
/// which proves nothing.
/// zero: nothing is proved of it.
///
/// # Errors
/// They differ, the load made no call at all, or the kernel refuses a program.
pub fn verify(
    programs: &Programs,
    target: &Target,
    load: impl FnOnce() -> Result<()>,
) -> Result<Vec<ReferenceCheck>> {
    let mut pairs = Pairs::attach(programs, target)?;
    load()?;
    pairs.own.iter_mut().map(|counter| counter.probe.detach()).fold(Ok(()), Result::and)?;
    pairs.reference.detach_all()?;
    let (own, reference) = (pairs.own()?, pairs.reference()?);
    let checks = pairs.names().zip(own).zip(reference);
    let check = |(((function, sites), target), reference)| ReferenceCheck {
        function,
        sites,
        target,
        reference,
        slack: 0,
    };
    called(prove(checks.map(check).collect())?)
}

/// The same during a load that is not ours and never idle; `span` waits for some time.
///
/// Each reading of the reference counter is between two of the functions' own counters, and at most
/// one call per worker or per CPU is in progress between a site and its function. So the reference
/// count has bounds, which are as far apart as the number of calls during a few reads, however long
/// the span.
///
/// # Errors
/// The reference counter is outside its bounds, or the kernel refuses a program. For functions that
/// were not called, both counts are zero.
pub fn verify_alongside(
    programs: &Programs,
    target: &Target,
    workers: usize,
    span: impl FnOnce() -> Result<()>,
) -> Result<Vec<ReferenceCheck>> {
    let pairs = Pairs::attach(programs, target)?;
    let under_way = workers as u64 + cpus::online()?.len() as u64;
    let read = || Ok::<_, Error>([pairs.own()?, pairs.reference()?, pairs.own()?]);
    let before = read()?;
    span()?;
    let after = read()?;
    let check = |(index, (function, sites)): (usize, _)| {
        let [low, reference, high] = [0, 1, 2].map(|at| (before[at][index], after[at][index]));
        let target = low.1 - low.0;
        let (least, most) = (low.1.saturating_sub(high.0), high.1 - low.0);
        let slack = under_way + (most - target).max(target - least);
        ReferenceCheck { function, sites, target, reference: reference.1 - reference.0, slack }
    };
    prove(pairs.names().enumerate().map(check).collect())
}

impl Pairs {
    fn attach(programs: &Programs, target: &Target) -> Result<Self> {
        let with_sites = |function: &&Function| sites::of(function).is_ok();
        let functions = target.functions.iter().filter(with_sites).cloned().collect();
        let target = Target { functions, ..Target::default() };
        let mut loader = Loader::new(programs, &format!("{PREFIX}_check"))?;
        let own = target.functions.iter().map(|function| {
            let mut counter = Counter::load(&mut loader, Spot::Fentry(function))?;
            counter.probe.attach()?;
            Ok(counter)
        });
        let own = own.collect::<Result<_>>()?;
        Ok(Self { own, reference: ReferenceCounter::attach(programs, &target, &[])? })
    }

    fn own(&self) -> Result<Vec<u64>> {
        self.own.iter().map(Counter::made).collect()
    }

    fn reference(&self) -> Result<Vec<u64>> {
        self.reference.made()
    }

    /// Each function with its sites.
    fn names(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        let own = self.own.iter().map(|counter| counter.probe.subject.clone());
        own.zip(self.reference.site_names())
    }
}

fn prove(checks: Vec<ReferenceCheck>) -> Result<Vec<ReferenceCheck>> {
    if let Some(wrong) = checks.iter().find(|check| !check.holds()) {
        let ReferenceCheck { function, sites, target, reference, .. } = wrong;
        let sites = sites.join(" + ");
        return Err(Error::Inconsistent(format!(
            "the reference counter did not count what {function} counted ({reference} calls of \
             {sites}, {target} of {function}): either it is not exact on this kernel, or another \
             program used vhost-net meanwhile; stop that program first"
        )));
    }
    Ok(checks)
}

/// The load was for vhost's functions and must have called at least one of them. This does not
/// apply to other functions, which only a VM calls.
fn called(checks: Vec<ReferenceCheck>) -> Result<Vec<ReferenceCheck>> {
    let mut vhost = checks.iter().filter(|check| check.function.starts_with("handle_")).peekable();
    if vhost.peek().is_some() && vhost.all(|check| check.target == 0) {
        return Err(Error::Inconsistent(
            "the reference counter could not be checked: the load made no call".into(),
        ));
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(function: &str, target: u64, reference: u64) -> ReferenceCheck {
        let sites = vec![format!("{function}_kick"), format!("{function}_net")];
        ReferenceCheck { function: function.into(), sites, target, reference, slack: 0 }
    }

    #[test]
    fn a_difference_is_inconsistent_and_so_is_a_check_of_nothing() {
        let quiet = || counted("handle_rx", 0, 0);
        assert!(prove(vec![counted("handle_tx", 7, 7), quiet()]).is_ok());
        let more = prove(vec![quiet(), counted("handle_tx", 7, 8)]).unwrap_err().to_string();
        assert!(
            more.contains("8 calls of handle_tx_kick + handle_tx_net, 7 of handle_tx"),
            "{more}"
        );
        assert!(matches!(called(vec![quiet()]), Err(Error::Inconsistent(_))));
        assert!(called(Vec::new()).is_ok(), "a target without sites has nothing to check");
        assert!(called(vec![counted("svm_vcpu_run", 0, 0)]).is_ok(), "only a VM calls it");
    }

    #[test]
    fn a_running_load_is_allowed_its_slack_and_no_more() {
        let off_by =
            |reference| ReferenceCheck { slack: 3, ..counted("handle_tx", 100, reference) };
        for reference in [97, 100, 103] {
            assert!(prove(vec![off_by(reference)]).is_ok(), "{reference}");
        }
        for reference in [96, 104] {
            assert!(prove(vec![off_by(reference)]).is_err(), "{reference}");
        }
    }
}
