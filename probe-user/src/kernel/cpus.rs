//! Four different sets of CPUs, and what each is used for.
//!
//! | set | holds | for |
//! |---|---|---|
//! | [`possible`] | every number that a CPU can get until the next boot | slots that programs index
//! by CPU: [`slots`] |
//! | [`online`] | those that run tasks now | perf events, ring buffers, scheduler statistics |
//! | [`allowed`] | of these, those that our parent left to us: `taskset`, a cpuset, `isolcpus=` |
//! the default if the user names no CPUs |
//! | [`usable`] | the online ones in our cpuset | what the user may name: `taskset` and `isolcpus=`
//! only say where a thread starts |
//!
//! CPUs that are present but not online are used only in hints.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::{fs, thread};

use probe_core::{
    error::{Error, Result},
    model::cpu_list::CpuList,
};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::affinity;

const FOLDER: &str = "/sys/devices/system/cpu";

/// Every number that a CPU can get on this host; there may be gaps.
///
/// # Errors
/// The list cannot be read or parsed.
pub fn possible() -> Result<CpuList> {
    read("possible")
}

/// One more than the greatest possible CPU number, for arrays that are indexed by it.
///
/// # Errors
/// As [`possible`].
pub fn slots() -> Result<u32> {
    Ok(possible()?.last().map_or(0, |last| last.saturating_add(1)))
}

/// The CPUs that are online now.
///
/// # Errors
/// The list cannot be read or parsed.
pub fn online() -> Result<CpuList> {
    read("online")
}

/// An online CPU, for questions that any CPU answers. It need not be 0, which may be offline.
///
/// # Errors
/// As [`online`].
pub fn any() -> Result<u32> {
    let first = online()?.first().copied();
    first.ok_or_else(|| Error::malformed(format!("{FOLDER}/online"), "it names no CPU"))
}

/// The CPUs that are online and that the calling thread may use. Call it before anything pins the
/// thread.
///
/// # Errors
/// /proc or /sys cannot be read.
pub fn allowed() -> Result<CpuList> {
    // Not sched_getaffinity(2): it fails for sets smaller than the kernel's; this file has no
    // limit.
    const STATUS: &str = "/proc/thread-self/status";
    let text = fs::read_to_string(STATUS).map_err(|e| Error::file("read", STATUS, e))?;
    let list = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let list = list.ok_or_else(|| Error::malformed(STATUS, "no Cpus_allowed_list"))?;
    // The line includes CPUs that are offline, and numbers that do not exist.
    Ok(parse(STATUS, list)?.among(&online()?))
}

/// The CPUs to which a thread of this process can be pinned: those online, possibly restricted by a
/// cpuset.
///
/// # Errors
/// As [`allowed`]; or no thread can be started.
pub fn usable() -> Result<CpuList> {
    let ask = || {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
        // The kernel restricts the set to the cpuset (kernel/sched/syscalls.c,
        // `__sched_setaffinity`).
        sched_setaffinity(None, &all)
            .map_err(|e| Error::call("sched_setaffinity", "a thread of ours", e.into()))?;
        allowed()
    };
    // In a separate thread, since the calling one must not move.
    let asking = thread::Builder::new().spawn(ask);
    let asking = asking.map_err(|e| Error::call("clone", "a thread", e))?;
    asking.join().unwrap_or_else(|_| Err(Error::Inconsistent("the thread panicked".into())))
}

/// Makes sure that threads can be pinned to all CPUs in `needs`; each entry names its purpose.
///
/// # Errors
/// The first CPU that cannot be used, why, and what would help.
pub fn check(needs: &[(&str, &[u32])]) -> Result<()> {
    let usable = usable()?;
    let each = needs.iter().flat_map(|(subject, cpus)| cpus.iter().map(move |cpu| (subject, *cpu)));
    match each.into_iter().find(|(_, cpu)| !usable.contains(cpu)) {
        None => Ok(()),
        Some((subject, cpu)) => Err(refusal(subject, cpu, &usable, [read("present")?, online()?])),
    }
}

fn refusal(subject: &str, cpu: u32, usable: &CpuList, [present, online]: [CpuList; 2]) -> Error {
    let (why, help) = if !present.contains(&cpu) {
        (format!("this host has no CPU {cpu}"), None)
    } else if !online.contains(&cpu) {
        let online = format!("bring it online: `echo 1 > {FOLDER}/cpu{cpu}/online`");
        (format!("CPU {cpu} is offline"), Some(online))
    } else if let Some(why) = affinity::beyond(cpu) {
        (why, None)
    } else {
        let wider = "run it in a cpuset that has it".to_owned();
        (format!("CPU {cpu} is not in this process's cpuset"), Some(wider))
    };
    let other = format!("Name other CPUs, of {usable}");
    let hint = help.map_or(other.clone(), |help| format!("{other}, or {help}"));
    Error::unsupported(subject, why, hint)
}

fn read(name: &str) -> Result<CpuList> {
    let path = format!("{FOLDER}/{name}");
    let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
    parse(&path, &text)
}

fn parse(subject: &str, text: &str) -> Result<CpuList> {
    text.trim().parse().map_err(|e| Error::malformed(subject, format!("{e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_lies_in_the_next() {
        let sets = [allowed(), usable(), online(), read("present"), possible()].map(Result::unwrap);
        for pair in sets.windows(2) {
            assert!(!pair[0].is_empty() && pair[0].without(&pair[1]).is_empty(), "{sets:?}");
        }
        assert!(slots().unwrap() as usize >= sets[4].len());
        assert!(sets[2].contains(&any().unwrap()));
    }

    #[test]
    fn a_pinned_thread_is_allowed_less_and_can_use_as_much() {
        let (all, cpu) = (usable().unwrap(), any().unwrap());
        thread::scope(|scope| {
            let pinned = scope.spawn(|| {
                affinity::pin(None, &[cpu]).unwrap();
                (allowed().unwrap(), usable().unwrap())
            });
            assert_eq!(pinned.join().unwrap(), (CpuList::from(vec![cpu]), all));
        });
    }

    #[test]
    fn a_refusal_says_which_cpu_and_what_helps() {
        let list = |text: &str| text.parse::<CpuList>().unwrap();
        let told = |cpu| {
            let [present, online] = [list("0-3,1024-2000"), list("0-2,1024-2000")];
            refusal("--load-cpus 0-9", cpu, &list("0-1"), [present, online]).to_string()
        };
        assert_eq!(
            told(2000),
            "--load-cpus 0-9: tracetoll pins threads to CPUs up to 1023, not 2000. Name other \
             CPUs, of 0-1"
        );
        assert_eq!(told(9), "--load-cpus 0-9: this host has no CPU 9. Name other CPUs, of 0-1");
        assert_eq!(
            told(3),
            "--load-cpus 0-9: CPU 3 is offline. Name other CPUs, of 0-1, or bring it online: \
             `echo 1 > /sys/devices/system/cpu/cpu3/online`"
        );
        assert!(told(2).contains("CPU 2 is not in this process's cpuset. Name other CPUs, of 0-1"));
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused() {
        let there = [any().unwrap()];
        check(&[("x", &there)]).unwrap();
        let error = check(&[("x", &there), ("y", &[8000])]).unwrap_err().to_string();
        assert!(error.starts_with("y: this host has no CPU 8000"), "{error}");
    }
}
