//! Which CPUs a thread may run on.

use rustix::thread::{CpuSet, Pid, sched_setaffinity};

use probe_core::error::{Error, Result};

/// Confines thread `tid` (`None`: the calling one) to `cpus`.
///
/// # Errors
/// As [`set`]; no CPU of the list is online, the thread has ended.
pub fn pin(tid: Option<u32>, cpus: &[u32]) -> Result<()> {
    let subject = || match tid {
        Some(tid) => format!("thread {tid}, CPUs {cpus:?}"),
        None => format!("the calling thread, CPUs {cpus:?}"),
    };
    let set = set(cpus)?;
    let pid = tid.and_then(|tid| i32::try_from(tid).ok()).and_then(Pid::from_raw);
    sched_setaffinity(pid, &set).map_err(|e| {
        let error = Error::call("sched_setaffinity", subject(), e.into());
        match e {
            rustix::io::Errno::INVAL => {
                error.with_hint("Name CPUs that are online and in this process's cpuset")
            }
            _ => error,
        }
    })
}

/// `cpus` in the kernel's format.
///
/// # Errors
/// A CPU number is too great, see [`beyond`].
pub fn set(cpus: &[u32]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if let Some(why) = beyond(cpu) {
            return Err(Error::unsupported(format!("CPUs {cpus:?}"), why, "Name lower ones"));
        }
        set.set(cpu as usize);
    }
    Ok(set)
}

/// Why no thread can be pinned to a CPU with this number, if so. A kernel can have 8192 CPUs, but
/// the C library's set (`cpu_set_t`), which we use, has room for 1024.
pub fn beyond(cpu: u32) -> Option<String> {
    let most = CpuSet::MAX_CPU - 1;
    (cpu as usize > most).then(|| format!("tracetoll pins threads to CPUs up to {most}, not {cpu}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_where_it_is_pinned() {
        std::thread::spawn(|| {
            pin(None, &[0]).unwrap();
            let set = rustix::thread::sched_getaffinity(None).unwrap();
            assert!(set.is_set(0) && set.count() == 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_cpu_beyond_our_sets_is_named_with_the_bound() {
        let told = pin(None, &[0, 4096]).unwrap_err().to_string();
        assert_eq!(
            told,
            "CPUs [0, 4096]: tracetoll pins threads to CPUs up to 1023, not 4096. Name lower ones"
        );
    }
}
