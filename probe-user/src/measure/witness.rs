//! The exact count beside a method: fentry programs on the callers of the target, never on the target itself.
//!
//! Two tracers on one function cost more than the sum of both: ftrace then walks a list on every call. So the witness
//! counts at other functions, from which alone the target is entered, and their counts add up to the target's. That
//! claim rests on the compiled code: [`verify`] tests it on the running kernel.

use crate::{
    error::{Error, Result},
    kernel::{
        bpf::counter::{Counter, Counters},
        run::PREFIX,
    },
    model::{
        campaign::WitnessCheck,
        loss::Loss,
        target::{Function, Target},
        trial::{WitnessCounts, WitnessSeries},
    },
};

/// Functions that are entered only from the callers named, by a tail jump at each caller's end: one call of a caller
/// is one call of the function (drivers/vhost/net.c).
const SITES: &[(&str, &[&str])] = &[
    ("handle_tx", &["handle_tx_kick", "handle_tx_net"]),
    ("handle_rx", &["handle_rx_kick", "handle_rx_net"]),
];

/// Counts the calls of a target's functions while it lives.
#[derive(Debug)]
pub struct Witness {
    /// In the target's order: the counters whose sum is the function's count, or why there are none.
    functions: Vec<std::result::Result<Vec<Counter>, String>>,
}

/// What counts the calls of `function`, for people.
///
/// # Errors
/// There is no exact site for it.
pub fn describe(function: &Function) -> Result<String> {
    let sites: Vec<_> = sites(function)?.into_iter().map(|site| site.name).collect();
    Ok(format!("fentry on {}", sites.join(" + ")))
}

impl Witness {
    /// Attaches to the sites of every function that has some.
    ///
    /// # Errors
    /// The kernel refuses a program; what had attached by then is detached.
    pub fn attach(target: &Target) -> Result<Self> {
        let mut counters = Counters::new()?;
        let functions = target.functions.iter().map(|function| match sites(function) {
            Ok(sites) => {
                sites.iter().map(|site| attach(&mut counters, site)).collect::<Result<_>>().map(Ok)
            }
            Err(none) => Ok(Err(none.to_string())),
        });
        Ok(Self { functions: functions.collect::<Result<_>>()? })
    }

    /// Calls of each function since the witness was attached, without a system call. None where there is no site.
    pub fn read(&self) -> Vec<Option<u64>> {
        let sum = |counters: &Vec<Counter>| counters.iter().map(Counter::calls).sum();
        self.functions.iter().map(|counters| counters.as_ref().ok().map(sum)).collect()
    }

    /// Calls at which the witness did not run.
    ///
    /// # Errors
    /// The kernel does not tell of its programs.
    pub fn missed(&self) -> Result<Loss> {
        self.counters().map(Counter::missed).try_fold(Loss::NONE, |all, one| Ok(all.and(one?)))
    }

    /// Detaches, and turns what was read at the edges of the bins into a series: one value for each pair of edges.
    ///
    /// # Errors
    /// A program is still attached, or the kernel does not tell of it.
    pub fn finish(mut self, readings: &[Vec<Option<u64>>]) -> Result<WitnessSeries> {
        self.detach_all()?;
        let missed = self.missed()?;
        let series = |(index, counters): (usize, &std::result::Result<_, String>)| match counters {
            Ok(_) => WitnessCounts::Calls(differences(readings, index)),
            Err(why) => WitnessCounts::None { why: why.clone() },
        };
        Ok(WitnessSeries {
            functions: self.functions.iter().enumerate().map(series).collect(),
            missed,
        })
    }

    /// Goes on past an error, and reports the first.
    fn detach_all(&mut self) -> Result<()> {
        let counters = self.functions.iter_mut().flatten().flatten();
        counters.map(Counter::detach).fold(Ok(()), Result::and)
    }

    fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.functions.iter().flatten().flatten()
    }
}

/// Tests on this kernel that the sites count what the functions themselves count: counts both while `load` runs.
/// `load` must have come to rest when it returns. Functions without a site are left out. A function that the load did
/// not call stands at zero: nothing is proved of it.
///
/// # Errors
/// They differ, the load made no call at all, or the kernel refuses a program.
pub fn verify(target: &Target, load: impl FnOnce() -> Result<()>) -> Result<Vec<WitnessCheck>> {
    let with_sites = |function: &&Function| sites(function).is_ok();
    let target = Target {
        functions: target.functions.iter().filter(with_sites).cloned().collect(),
        ..Target::default()
    };
    let mut counters = Counters::new()?;
    let own = target.functions.iter().map(|function| attach(&mut counters, function));
    let mut own = own.collect::<Result<Vec<_>>>()?;
    let mut witness = Witness::attach(&target)?;
    load()?;
    own.iter_mut().map(Counter::detach).fold(Ok(()), Result::and)?;
    witness.detach_all()?;
    let pairs = own.iter().zip(&witness.functions);
    let checks = pairs.map(|(own, sites)| check(own, sites.as_deref().unwrap_or_default()));
    prove(checks.collect::<Result<_>>()?)
}

fn check(own: &Counter, sites: &[Counter]) -> Result<WitnessCheck> {
    Ok(WitnessCheck {
        function: own.function().to_owned(),
        sites: sites.iter().map(|site| site.function().to_owned()).collect(),
        target: own.made()?,
        witness: sites.iter().map(Counter::made).sum::<Result<u64>>()?,
    })
}

fn prove(checks: Vec<WitnessCheck>) -> Result<Vec<WitnessCheck>> {
    if let Some(wrong) = checks.iter().find(|check| check.target != check.witness) {
        let WitnessCheck { function, sites, target, witness } = wrong;
        let sites = sites.join(" + ");
        return Err(Error::Untrue(format!(
            "the witness did not count what {function} counted ({witness} calls of {sites}, {target} of {function}): \
             either it is not exact on this kernel, or another program used vhost-net meanwhile; stop that one first"
        )));
    }
    if !checks.is_empty() && checks.iter().all(|check| check.target == 0) {
        return Err(Error::Untrue(
            "the witness could not be checked: the load made no call".into(),
        ));
    }
    Ok(checks)
}

/// The functions whose calls add up to those of `function`.
fn sites(function: &Function) -> Result<Vec<Function>> {
    let (_, callers) = SITES.iter().find(|(name, _)| *name == function.name).ok_or_else(|| {
        Error::unsupported(
            format!("witness of {}", function.name),
            "no functions are known from which alone it is entered",
            "Measure its toll, or the fidelity on handle_tx or handle_rx",
        )
    })?;
    let site = |name: &&str| Function { name: (*name).to_owned(), ..function.clone() };
    Ok(callers.iter().map(site).collect())
}

fn attach(counters: &mut Counters, function: &Function) -> Result<Counter> {
    let mut counter = counters.load(function, &format!("{PREFIX}_watch"))?;
    counter.attach()?;
    Ok(counter)
}

/// Calls between each two readings. Totals never fall, so a difference is never negative.
fn differences(readings: &[Vec<Option<u64>>], function: usize) -> Vec<u64> {
    let total = |reading: &Vec<Option<u64>>| reading.get(function).copied().flatten().unwrap_or(0);
    readings.windows(2).map(|pair| total(&pair[1]).saturating_sub(total(&pair[0]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Function {
        Function {
            name: name.into(),
            module: Some("vhost_net".into()),
            addresses: Default::default(),
        }
    }

    fn counted(function: &str, target: u64, witness: u64) -> WitnessCheck {
        let sites = vec![format!("{function}_kick"), format!("{function}_net")];
        WitnessCheck { function: function.into(), sites, target, witness }
    }

    #[test]
    fn sites_stand_in_the_functions_own_module() {
        let sites = sites(&function("handle_rx")).unwrap();
        assert_eq!(sites, [function("handle_rx_kick"), function("handle_rx_net")]);
        assert_eq!(
            describe(&function("handle_tx")).unwrap(),
            "fentry on handle_tx_kick + handle_tx_net"
        );
        let none = describe(&function("tun_get_user")).unwrap_err();
        assert!(
            none.to_string().starts_with("witness of tun_get_user: no functions are known"),
            "{none}"
        );
    }

    #[test]
    fn a_difference_is_untrue_and_so_is_a_check_of_nothing() {
        let quiet = || counted("handle_rx", 0, 0);
        assert!(prove(vec![counted("handle_tx", 7, 7), quiet()]).is_ok());
        let more = prove(vec![quiet(), counted("handle_tx", 7, 8)]).unwrap_err().to_string();
        assert!(
            more.contains("8 calls of handle_tx_kick + handle_tx_net, 7 of handle_tx"),
            "{more}"
        );
        assert!(matches!(prove(vec![quiet()]), Err(Error::Untrue(_))));
        assert!(prove(Vec::new()).is_ok(), "a target without sites has nothing to check");
    }

    #[test]
    fn a_series_has_one_value_less_than_edges() {
        let readings = [vec![Some(5), None], vec![Some(5), None], vec![Some(9), None]];
        assert_eq!(differences(&readings, 0), [0, 4]);
        assert!(differences(&[], 0).is_empty());
    }
}
