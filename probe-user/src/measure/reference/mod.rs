//! The exact count beside a method. Its programs are at the only callers of a target's function, or
//! at places that each of its calls passes, but never on the function itself.
//!
//! Two tracers on one function cost more than both separately, because ftrace then walks a list on
//! every call. So the reference counter counts elsewhere, where its counts add up to the target's.
//! That depends on the compiled code: [`verify`] tests it on the running kernel.

mod sites;
mod verify;

use std::collections::BTreeMap;

use probe_core::{
    error::Result,
    model::{
        loss::Loss,
        target::{Function, Target},
        trial::{ReferenceCounts, ReferenceSeries},
    },
};

use self::sites::{CountingPoint, Site, Sites};
pub use self::verify::{verify, verify_alongside};
use crate::{
    kernel::bpf::{by_worker::CallCounts, chosen::Programs},
    workload::fleet::Worker,
};

/// Counts the calls of a target's functions while it lives.
#[derive(Debug)]
pub struct ReferenceCounter {
    /// In the target's order.
    functions: Vec<CountedFunction>,
    workers: Vec<Worker>,
}

/// One function of the target.
#[derive(Debug)]
struct CountedFunction {
    name: String,
    /// The sites whose sum is the function's count, or why there are none.
    sites: std::result::Result<Vec<Site>, String>,
}

/// What the reference counter had counted at one moment, by function; none where there is no site.
pub type Reading = Vec<Option<CallCounts>>;

/// The reference counter's counts, bin by bin.
#[derive(Debug, Clone, PartialEq)]
pub struct Referenced {
    /// Calls of all threads.
    pub series: ReferenceSeries,
    /// Calls made by each guest's workers, by function; a function is missing if the reference
    /// counter does not see who calls it.
    pub guests: Vec<BTreeMap<String, Vec<u64>>>,
}

/// A description of what counts the calls of `function`.
///
/// # Errors
/// There is no exact site for it.
pub fn describe(function: &Function) -> Result<String> {
    let places = sites::of(function)?;
    let functions = places.iter().filter_map(|place| match place {
        CountingPoint::Function(site) => Some(site.name.as_str()),
        CountingPoint::Tracepoint(_) => None,
    });
    let functions: Vec<_> = functions.collect();
    let tracepoints = places.iter().filter_map(|place| match place {
        CountingPoint::Tracepoint(tracepoint) => Some(format!("tracepoint {tracepoint}")),
        CountingPoint::Function(_) => None,
    });
    let fentry = (!functions.is_empty()).then(|| format!("fentry on {}", functions.join(" + ")));
    Ok(fentry.into_iter().chain(tracepoints).collect::<Vec<_>>().join(", "))
}

impl ReferenceCounter {
    /// Attaches to the sites of every function that has some, and counts the calls of `workers`
    /// separately.
    ///
    /// # Errors
    /// The kernel refuses a program; what had attached by then is detached.
    pub fn attach(programs: &Programs, target: &Target, workers: &[Worker]) -> Result<Self> {
        let threads: Vec<_> = workers.iter().map(|worker| worker.tid).collect();
        let mut sites = Sites::new(programs, &threads)?;
        let functions = target.functions.iter().map(|function| {
            let sites = match sites::of(function) {
                Ok(places) => Ok(places.iter().map(|p| sites.attach(p)).collect::<Result<_>>()?),
                Err(none) => Err(none.to_string()),
            };
            Ok(CountedFunction { name: function.name.clone(), sites })
        });
        Ok(Self { functions: functions.collect::<Result<_>>()?, workers: workers.to_vec() })
    }

    /// Calls of each function since the reference counter was attached, without a system call.
    /// `None` if there is no site.
    pub fn read(&self) -> Reading {
        let sum = |sites: &Vec<Site>| sites.iter().map(Site::calls).reduce(add).unwrap_or_default();
        self.functions.iter().map(|watched| watched.sites.as_ref().ok().map(sum)).collect()
    }

    /// Calls at which the reference counter did not run.
    ///
    /// # Errors
    /// The kernel gives no information about its programs.
    pub fn missed(&self) -> Result<Loss> {
        self.sites()
            .map(|site| site.probe().missed())
            .try_fold(Loss::NONE, |all, one| Ok(all.and(one?)))
    }

    /// Detaches, and turns the readings at bin edges into series, with one value for each pair of
    /// edges.
    ///
    /// # Errors
    /// A program is still attached, or the kernel gives no information about it.
    pub fn finish(mut self, readings: &[Reading]) -> Result<Referenced> {
        self.detach_all()?;
        let missed = self.missed()?;
        let series = |(index, watched): (usize, &CountedFunction)| match &watched.sites {
            Ok(_) => ReferenceCounts::Calls(differences(readings, index, |calls| calls.all)),
            Err(why) => ReferenceCounts::None { why: why.clone() },
        };
        let functions = self.functions.iter().enumerate().map(series).collect();
        Ok(Referenced {
            series: ReferenceSeries { functions, missed },
            guests: self.by_guest(readings),
        })
    }

    /// A guest may have several workers, one for each pair of queues.
    fn by_guest(&self, readings: &[Reading]) -> Vec<BTreeMap<String, Vec<u64>>> {
        let guests = self.workers.iter().map(|worker| worker.guest + 1).max().unwrap_or(0);
        let of = |guest: usize| {
            let own: Vec<_> =
                (0..self.workers.len()).filter(|&w| self.workers[w].guest == guest).collect();
            let told_apart = |index: &usize| {
                let all = readings.iter().map(|reading| reading[*index].as_ref());
                own.iter().max().is_some_and(|&last| {
                    all.clone().all(|calls| calls.is_some_and(|c| c.workers.len() > last))
                })
            };
            let calls = |calls: &CallCounts| own.iter().map(|&worker| calls.workers[worker]).sum();
            let series = |index: usize| {
                (self.functions[index].name.clone(), differences(readings, index, calls))
            };
            (0..self.functions.len()).filter(told_apart).map(series).collect()
        };
        (0..guests).map(of).collect()
    }

    /// Calls made while it was attached, for each function that has sites.
    fn made(&self) -> Result<Vec<u64>> {
        let sum = |sites: &Vec<Site>| sites.iter().map(Site::made).sum();
        self.functions.iter().filter_map(|watched| watched.sites.as_ref().ok()).map(sum).collect()
    }

    /// The sites of each function that has some.
    fn site_names(&self) -> impl Iterator<Item = Vec<String>> {
        let names =
            |sites: &Vec<Site>| sites.iter().map(|site| site.probe().subject.clone()).collect();
        self.functions.iter().filter_map(|watched| watched.sites.as_ref().ok()).map(names)
    }

    /// Continues after an error, and reports the first one.
    fn detach_all(&mut self) -> Result<()> {
        let sites = self.functions.iter_mut().flat_map(|watched| &mut watched.sites).flatten();
        sites.map(|site| site.probe_mut().detach()).fold(Ok(()), Result::and)
    }

    fn sites(&self) -> impl Iterator<Item = &Site> {
        self.functions.iter().flat_map(|watched| &watched.sites).flatten()
    }
}

/// The sum of two sites. One that does not tell workers apart makes the sum unable to, too.
fn add(mut one: CallCounts, other: CallCounts) -> CallCounts {
    one.all += other.all;
    one.workers.truncate(other.workers.len());
    for (sum, calls) in one.workers.iter_mut().zip(other.workers) {
        *sum += calls;
    }
    one
}

/// The increase of `of` between consecutive readings. Totals never fall, so a difference is never
/// negative.
fn differences(readings: &[Reading], function: usize, of: impl Fn(&CallCounts) -> u64) -> Vec<u64> {
    let total = |reading: &Reading| reading.get(function).and_then(Option::as_ref).map_or(0, &of);
    readings.windows(2).map(|pair| total(&pair[1]).saturating_sub(total(&pair[0]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str) -> Function {
        let addresses = Default::default();
        Function { name: name.into(), module: Some("vhost_net".into()), addresses }
    }

    #[test]
    fn people_are_told_where_the_reference_stands() {
        let told = |name| describe(&function(name)).unwrap();
        assert_eq!(told("handle_tx"), "fentry on handle_tx_kick + handle_tx_net");
        assert_eq!(told("svm_vcpu_run"), "tracepoint kvm:kvm_entry");
    }

    fn calls(all: u64, workers: &[u64]) -> Option<CallCounts> {
        Some(CallCounts { all, workers: workers.to_vec() })
    }

    #[test]
    fn a_series_has_one_value_less_than_edges() {
        let readings = [vec![calls(5, &[]), None], vec![calls(5, &[]), None]];
        let readings = [&readings[..], &[vec![calls(9, &[]), None]]].concat();
        assert_eq!(differences(&readings, 0, |calls| calls.all), [0, 4]);
        assert!(differences(&[], 0, |calls| calls.all).is_empty());
    }

    #[test]
    fn a_guests_calls_are_those_of_all_its_workers() {
        let watched = |name: &str, sites| CountedFunction { name: name.into(), sites };
        let worker = |guest, tid| Worker { guest, tid };
        let reference = ReferenceCounter {
            functions: vec![
                watched("handle_tx", Ok(Vec::new())),
                watched("svm_vcpu_run", Ok(Vec::new())),
                watched("tun_get_user", Err("no".into())),
            ],
            workers: vec![worker(0, 11), worker(1, 12), worker(0, 13)],
        };
        let readings = [
            vec![calls(10, &[1, 2, 3]), calls(7, &[]), None],
            vec![calls(30, &[2, 5, 9]), calls(8, &[]), None],
        ];
        let guests = reference.by_guest(&readings);
        assert_eq!(guests.len(), 2);
        assert_eq!(guests[0], BTreeMap::from([("handle_tx".to_owned(), vec![7])]));
        assert_eq!(guests[1]["handle_tx"], [3]);
        assert_eq!(add(calls(1, &[1]).unwrap(), calls(2, &[]).unwrap()).workers, [0; 0]);
    }
}
