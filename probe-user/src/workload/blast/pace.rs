//! The three paces of a guest without a VM.

use probe_core::{
    error::{Error, Result},
    model::{scenario::Rate, units::Nanos},
};
use rustix::thread::set_current_timer_slack;

use crate::{
    kernel::clock,
    sys::sched::IdleClass,
    workload::{
        Offered,
        blast::{
            bell::Bell,
            guest::{Guest, Tally, Until},
        },
    },
};

/// Offers frames until the bell rings, or until a closed loop has finished.
///
/// # Errors
/// As the methods of [`Guest`]; in the closed loop also a device that does not ask for a kick when
/// it should.
pub(super) fn run(guest: &mut Guest, offered: Offered, bell: &Bell, tally: &Tally) -> Result<()> {
    match offered {
        Offered::ClosedLoop { kicks } => closed_loop(guest, kicks, bell, tally),
        Offered::Paced { rate, batch, per_kick } => {
            let schedule = Schedule { start: clock::now(), rate, per_kick };
            paced(guest, schedule, batch, bell, tally)
        }
        Offered::Saturated { batch } => saturated(guest, batch, bell, tally),
    }
}

/// Receives frames until the bell rings, sending none.
///
/// # Errors
/// As the methods of [`Guest`].
pub(super) fn rest(guest: &mut Guest, bell: &Bell, tally: &Tally) -> Result<()> {
    while !bell.is_rung() {
        guest.sleep(Until { bell: Some(bell), ..Until::default() })?;
        guest.collect(tally)?;
    }
    Ok(())
}

/// Waits until vhost has sent everything in flight and its worker has nothing left to do for it.
///
/// # Errors
/// As the methods of [`Guest`].
pub(super) fn drain(guest: &mut Guest, tally: &Tally) -> Result<()> {
    guest.collect(tally)?;
    while guest.in_flight() > 0 {
        guest.sleep(Until { used: Some(guest.in_flight()), ..Until::default() })?;
        guest.collect(tally)?;
    }
    guest.settle()
}

/// The worker preempts this thread at each kick. Otherwise the scheduler would decide by what both
/// have run before, and a more expensive method could make the worker's time shorter
/// (docs/src/explanation/biases.md).
fn closed_loop(guest: &mut Guest, kicks: u64, bell: &Bell, tally: &Tally) -> Result<()> {
    let _preempted =
        IdleClass::enter().map_err(|e| Error::call("sched_setscheduler", "this thread", e))?;
    for _ in 0..kicks {
        if bell.is_rung() {
            break;
        }
        if !guest.add(clock::now()) {
            return Err(Error::Inconsistent("the ring is full with nothing in flight".into()));
        }
        if !guest.publish(tally)? {
            return Err(Error::Inconsistent(
                "vhost had sent everything, yet asks for no kick".into(),
            ));
        }
        guest.settle()?;
        guest.collect(tally)?;
    }
    Ok(())
}

fn paced(
    guest: &mut Guest,
    schedule: Schedule,
    batch: u16,
    bell: &Bell,
    tally: &Tally,
) -> Result<()> {
    // 50 µs by default, as long as a whole frame takes.
    set_current_timer_slack(std::num::NonZeroU64::new(1))
        .map_err(|e| Error::call("prctl(PR_SET_TIMERSLACK)", "this thread", e.into()))?;
    let mut next = 0;
    while !bell.is_rung() {
        let now = clock::now();
        let mut added = 0;
        while added < batch && schedule.at(next) <= now && guest.add(schedule.at(next)) {
            added += 1;
            next += 1;
        }
        if added > 0 {
            guest.publish(tally)?;
        } else {
            let at = schedule.at(next);
            let wait = if at > now { Wait::At(at) } else { Wait::Room };
            guest.sleep(wait.until(guest, bell))?;
        }
        guest.collect(tally)?;
    }
    Ok(())
}

fn saturated(guest: &mut Guest, batch: u16, bell: &Bell, tally: &Tally) -> Result<()> {
    while !bell.is_rung() {
        let now = clock::now();
        let mut added = 0;
        while added < batch && guest.add(now) {
            added += 1;
        }
        if added > 0 {
            guest.publish(tally)?;
        } else {
            guest.sleep(Wait::Room.until(guest, bell))?;
        }
        guest.collect(tally)?;
    }
    Ok(())
}

/// What an idle guest waits for.
enum Wait {
    At(Nanos),
    Room,
}

impl Wait {
    fn until<'a>(&self, guest: &Guest, bell: &'a Bell) -> Until<'a> {
        match *self {
            Self::At(at) => Until { at: Some(at), bell: Some(bell), used: None },
            // Three quarters of the ring, like Linux's driver (virtqueue_enable_cb_delayed): a call
            // for each frame would leave room for only one.
            Self::Room => {
                let used = (u32::from(guest.in_flight()) * 3 / 4).max(1) as u16;
                Until { used: Some(used), bell: Some(bell), at: None }
            }
        }
    }
}

/// The time at which each frame is due. Each follows from the start, not from the preceding frame,
/// so that errors do not accumulate.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: Nanos,
    rate: Rate,
    /// Frames that are due together, with the first of them.
    per_kick: u16,
}

impl Schedule {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ns since the start fit 53 bits for 104 days"
    )]
    fn at(&self, frame: u64) -> Nanos {
        let frame = frame - frame % u64::from(self.per_kick.max(1));
        Nanos(self.start.0 + (frame as f64 * 1e9 / self.rate.per_second()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_does_not_drift() {
        let rate = "3pps".parse().unwrap();
        let schedule = Schedule { start: Nanos(5), rate, per_kick: 1 };
        assert_eq!(schedule.at(0), Nanos(5));
        assert_eq!(schedule.at(1), Nanos(333_333_338));
        // A whole day later still on the second.
        assert_eq!(schedule.at(3 * 86_400), Nanos(86_400_000_000_005));
    }

    #[test]
    fn frames_of_one_kick_are_due_with_the_first_of_them() {
        let rate = "4pps".parse().unwrap();
        let schedule = Schedule { start: Nanos(0), rate, per_kick: 2 };
        let due: Vec<u64> = (0..5).map(|frame| schedule.at(frame).0 / 1_000_000).collect();
        assert_eq!(due, [0, 0, 500, 500, 1000]);
    }
}
