//! What criterion measures here: CPU time of the thread that hits the hook.
//!
//! The caller's clock would include how the load wakes the vhost worker and waits for it, which is
//! many times the cost of a hook, and scatters more than all hooks together.

use std::{cell::RefCell, rc::Rc, thread, time::Duration};

use criterion::{
    Throughput,
    measurement::{Measurement, ValueFormatter},
};
use probe_core::{
    error::Result,
    model::{figure::Platform, units::Nanos},
};
use probe_user::{kernel::cputime::ThreadTime, measure::reader};

/// Longer than an idle worker takes to go to sleep. The scheduler's account of a running thread is
/// as old as its last tick.
const TO_SLEEP: Duration = Duration::from_millis(2);

/// CPU time of one thread.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime {
    thread: Thread,
    unit: Unit,
}

#[derive(Debug, Clone)]
enum Thread {
    /// The calling thread.
    Own,
    /// Another thread, which sleeps whenever its time is read.
    Worker(Rc<RefCell<ThreadTime>>),
}

impl CpuTime {
    /// Measures the calling thread.
    pub(crate) fn own(platform: Platform) -> Self {
        Self { thread: Thread::Own, unit: Unit(unit(platform)) }
    }

    /// Measures thread `tid`.
    ///
    /// # Errors
    /// As [`ThreadTime::of`].
    pub(crate) fn of(tid: u32, platform: Platform) -> Result<Self> {
        let thread = Thread::Worker(Rc::new(RefCell::new(ThreadTime::of(tid)?)));
        Ok(Self { thread, unit: Unit(unit(platform)) })
    }

    /// The unit of its values.
    pub(crate) fn unit(&self) -> &'static str {
        self.unit.0
    }

    fn read(&self) -> Nanos {
        match &self.thread {
            Thread::Own => reader::thread_cpu(),
            Thread::Worker(time) => {
                thread::sleep(TO_SLEEP);
                time.borrow_mut().read().expect("the worker lives as long as its device").run
            }
        }
    }
}

/// The unit of nanoseconds on this clock.
fn unit(platform: Platform) -> &'static str {
    match platform {
        Platform::Native | Platform::Virtual => "ns",
        Platform::Counted => "counted ns",
        Platform::Emulated => "emulated ns",
        Platform::Unknown => "ns of an unknown clock",
    }
}

impl Measurement for CpuTime {
    type Intermediate = Nanos;
    type Value = Nanos;

    fn start(&self) -> Nanos {
        self.read()
    }

    fn end(&self, start: Nanos) -> Nanos {
        self.read().since(start)
    }

    fn add(&self, one: &Nanos, other: &Nanos) -> Nanos {
        Nanos(one.0 + other.0)
    }

    fn zero(&self) -> Nanos {
        Nanos(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "no sample takes 2^53 ns")]
    fn to_f64(&self, value: &Nanos) -> f64 {
        value.0 as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &self.unit
    }
}

/// Prints nanoseconds as such, whatever their size: the difference between two values matters.
#[derive(Debug, Clone, Copy)]
struct Unit(&'static str);

impl ValueFormatter for Unit {
    fn format_value(&self, value: f64) -> String {
        format!("{value:.1} {}", self.0)
    }

    fn scale_values(&self, _typical: f64, _values: &mut [f64]) -> &'static str {
        self.0
    }

    fn scale_throughputs(&self, _: f64, _: &Throughput, _: &mut [f64]) -> &'static str {
        self.0
    }

    fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
        self.0
    }
}
