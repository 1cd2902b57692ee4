//! How fast system calls of other processes are while something runs: measured by a thread that
//! makes them on its own CPU.

use std::{
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use probe_user::kernel::affinity;

use crate::tool::binary;

/// Number of observed doctors, each after a quiet period.
const PAIRS: usize = 3;
const QUIET: usize = 10;
const SLICE: Duration = Duration::from_millis(200);

/// Well below the cost of a doctor that competes for the host's CPUs (half), and well above the
/// rate when all functions are traced (a tenth).
const BOUND: f64 = 0.25;

/// The CPU of `doctor`, and that of the disturbed thread.
const DOCTOR: &str = "0";
const OTHERS: u32 = 1;

/// This does not depend on the machine's speed: each figure is a ratio of two periods of one guest,
/// and their median is judged. If all functions are traced, a system call takes ten times as long.
pub(super) fn doctor_leaves_the_others_their_speed() -> Result<()> {
    let meter = Meter::start();
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let quiet: Vec<f64> = (0..QUIET).map(|_| meter.slice()).collect();
        let mut doctor = doctor()?;
        let mut during = vec![meter.slice()];
        let status = loop {
            match doctor.try_wait()? {
                Some(status) => break status,
                None => during.push(meter.slice()),
            }
        };
        ensure!(status.success(), "doctor: {status}");
        ratios.push(quarter(during) / quarter(quiet));
    }
    meter.stop()?;
    ratios.sort_by(f64::total_cmp);
    println!("system calls while doctor runs, of those before it: {ratios:.2?}");
    ensure!(ratios[PAIRS / 2] > BOUND, "system calls slowed down to {ratios:.2?}");
    Ok(())
}

fn doctor() -> Result<Child> {
    let mut doctor = Command::new("taskset");
    doctor.args(["-c", DOCTOR]).arg(binary()?).arg("doctor");
    Ok(doctor.stdout(std::process::Stdio::null()).spawn()?)
}

/// The rate below which a quarter of the slices are: it shows a disturbance that takes a good part
/// of the time, but not a hiccup of the machine.
fn quarter(mut slices: Vec<f64>) -> f64 {
    slices.sort_by(f64::total_cmp);
    slices[slices.len() / 4]
}

struct Meter {
    calls: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Meter {
    fn start() -> Self {
        let (calls, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (made, ended) = (Arc::clone(&calls), Arc::clone(&end));
        let thread = thread::spawn(move || {
            affinity::pin(None, &[OTHERS])?;
            while !ended.load(Ordering::Relaxed) {
                let _ = rustix::process::getppid();
                made.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { calls, end, thread }
    }

    /// Calls per second in the next period.
    fn slice(&self) -> f64 {
        let (before, began) = (self.calls.load(Ordering::Relaxed), Instant::now());
        thread::sleep(SLICE);
        (self.calls.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
    }

    fn stop(self) -> Result<()> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}
