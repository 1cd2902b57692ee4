//! Which CPUs a thread may run on.

use rustix::thread::{CpuSet, Pid, sched_setaffinity};

use crate::error::{Error, Result};

/// Confines thread `tid` (none: the calling one) to `cpus`.
///
/// # Errors
/// A CPU number beyond the kernel's limit, no CPU of the list is online, the thread has ended.
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
                error.with_remedy("Name CPUs that are online and in this process's cpuset")
            }
            _ => error,
        }
    })
}

/// `cpus` as the kernel takes them.
///
/// # Errors
/// A CPU number beyond the kernel's limit.
pub fn set(cpus: &[u32]) -> Result<CpuSet> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu as usize >= CpuSet::MAX_CPU {
            let (why, limit) = (format!("there is no CPU {cpu}"), CpuSet::MAX_CPU - 1);
            let subject = format!("CPUs {cpus:?}");
            return Err(Error::invalid(subject, why, format!("CPU numbers end at {limit}")));
        }
        set.set(cpu as usize);
    }
    Ok(set)
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
    fn a_cpu_that_cannot_exist_is_named() {
        let error = pin(None, &[4096]).unwrap_err();
        assert!(error.to_string().contains("no CPU 4096"), "{error}");
    }
}
