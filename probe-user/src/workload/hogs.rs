//! Hogs: threads that always want a CPU.

use std::{
    hint::black_box,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use probe_core::{
    error::{Error, Result},
    model::scenario::HogKind,
};
use rustix::thread::gettid;

use crate::kernel::affinity;

/// A set of spinning threads, some of which run while the others sleep. Dropping it ends them.
///
/// All threads exist from the start, so that a change of their number during a trial starts no
/// thread, and their CPU times can be read from beginning to end.
pub struct Hogs {
    herd: Arc<Herd>,
    per_hog: usize,
    tids: Vec<u32>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Herd {
    /// How many spin: those with lower numbers. Changed under `ended`'s lock, read without it.
    awake: AtomicUsize,
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Hogs {
    /// Up to `most` hogs on `cpus`, all asleep.
    ///
    /// # Errors
    /// A CPU is not online; no more threads can be started.
    pub fn new(most: usize, kind: &HogKind, cpus: &[u32]) -> Result<Self> {
        let per_hog = kind.threads;
        let mut hogs =
            Self { herd: Arc::default(), per_hog, tids: Vec::new(), threads: Vec::new() };
        for number in 0..most * per_hog {
            let herd = hogs.herd.clone();
            let cpus = match kind.pinned {
                true => vec![cpus[number % cpus.len()]],
                false => cpus.to_vec(),
            };
            let (ready, is_ready) = mpsc::channel();
            let body = move || {
                let pinned = affinity::pin(None, &cpus);
                let runs = pinned.is_ok();
                let _ = ready.send(pinned.map(|()| gettid().as_raw_nonzero().get().unsigned_abs()));
                if runs {
                    herd.live(number);
                }
            };
            let thread = thread::Builder::new()
                .name(format!("tt-hog{number}"))
                .spawn(body)
                .map_err(|e| Error::call("clone", format!("the thread of hog {number}"), e))?;
            hogs.threads.push(thread);
            let tid =
                is_ready.recv().map_err(|_| Error::Inconsistent("a hog panicked".into()))??;
            hogs.tids.push(tid);
        }
        Ok(hogs)
    }

    /// From now on, `count` hogs spin and the others sleep.
    ///
    /// # Errors
    /// There are not that many.
    pub fn set(&self, count: usize) -> Result<()> {
        let threads = count * self.per_hog;
        if threads > self.tids.len() {
            return Err(Error::Inconsistent(format!(
                "{count} hogs of {} threads each cannot run: there are {} threads",
                self.per_hog,
                self.tids.len()
            )));
        }
        self.herd.set(threads, false);
        Ok(())
    }

    /// Thread ids of all hogs, awake or not.
    pub fn threads(&self) -> &[u32] {
        &self.tids
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.herd.set(0, true);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Herd {
    fn set(&self, awake: usize, ended: bool) {
        let mut state = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *state = ended;
        self.awake.store(awake, Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
    }

    fn live(&self, number: usize) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            if number < self.awake.load(Ordering::Relaxed) {
                drop(ended);
                self.spin(number);
                ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            } else {
                ended = self.changed.wait(ended).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn spin(&self, number: usize) {
        let mut sum = 0_u64;
        while number < self.awake.load(Ordering::Relaxed) {
            // No spin_loop(): its `pause` would tell a hypervisor that this CPU is not needed.
            for round in 0..1024 {
                sum = black_box(sum.wrapping_add(round));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_core::model::units::Nanos;

    use super::*;
    use crate::kernel::cputime::ThreadTime;

    /// CPU time that only a spinning thread accumulates.
    const SPUN: Nanos = Nanos(50_000_000);

    #[test]
    fn as_many_hogs_spin_as_were_asked_for() {
        let hogs = Hogs::new(2, &HogKind::default(), &[0]).unwrap();
        let mut times: Vec<_> =
            hogs.threads().iter().map(|&tid| ThreadTime::of(tid).unwrap()).collect();
        let mut read = || [times[0].read().unwrap().run, times[1].read().unwrap().run];
        // A sleeping hog wakes up, finds that it need not run, and sleeps again: its time grows,
        // but not like that of a spinning one.
        let asleep = read();
        hogs.set(1).unwrap();
        while read()[0].since(asleep[0]) < SPUN {
            thread::yield_now();
        }
        let before = read();
        assert!(before[1].since(asleep[1]) < before[0].since(asleep[0]));
        hogs.set(2).unwrap();
        while read()[1].since(before[1]) < SPUN {
            thread::yield_now();
        }
        hogs.set(3).unwrap_err();
    }

    #[test]
    fn a_hog_has_as_many_threads_as_its_kind_says() {
        let hogs = Hogs::new(2, &HogKind { threads: 3, pinned: true }, &[0]).unwrap();
        assert_eq!(hogs.threads().len(), 6);
        hogs.set(2).unwrap();
        hogs.set(3).unwrap_err();
    }

    #[test]
    fn a_herd_on_a_cpu_that_is_not_there_is_refused() {
        assert!(Hogs::new(2, &HogKind::default(), &[1000]).is_err());
    }
}
