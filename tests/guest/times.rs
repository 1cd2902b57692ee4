//! How long the tests took, for distributing them among machines: nothing is judged by it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

static TOOK: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Records the time of one test when it is dropped.
pub(crate) struct Stopwatch {
    name: String,
    started: Instant,
}

/// Starts timing the test `name`.
pub(crate) fn start(name: String) -> Stopwatch {
    Stopwatch { name, started: Instant::now() }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let took = (self.started.elapsed(), std::mem::take(&mut self.name));
        TOOK.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }
}

/// Prints them by module, the longest first, if there were several.
pub(crate) fn print() {
    let took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
    if took.len() < 2 {
        return;
    }
    let mut modules: BTreeMap<&str, (Duration, Vec<String>)> = BTreeMap::new();
    for (time, name) in took.iter() {
        let (module, test) = name.split_once("::").unwrap_or((name, ""));
        let (sum, tests) = modules.entry(module).or_default();
        *sum += *time;
        tests.push(format!("{test} {:.0}", time.as_secs_f64()));
    }
    let mut modules: Vec<_> = modules.into_iter().collect();
    modules.sort_by_key(|(_, (sum, _))| std::cmp::Reverse(*sum));
    for (module, (sum, tests)) in modules {
        println!("seconds: {module} {:.0}: {}", sum.as_secs_f64(), tests.join(", "));
    }
}
