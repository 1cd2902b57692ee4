//! A sampling profiler that aggregates in the kernel: a program on perf events that looks for the
//! traced functions in the interrupted kernel stack.

use std::{
    mem::offset_of,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::maps::{Array, Map, MapData, MapError};
use probe_core::{
    error::{Error, Result},
    model::{
        observation::ProgramRuns,
        target::{Function, Range},
        units::Bytes,
    },
};
use probe_ebpf::sample_stacks::{FUNCTIONS, FUNCTIONS_MAX, PROGRAM, SHARES, STACK, Share, Shares};

use super::{
    chosen::Programs,
    link::Link,
    object::{LoadPlan, LoadedProgram, Map as Shared, Object},
    probe::memory,
    slots::Slots,
    statistics,
};
use crate::{
    kernel::cpus,
    sys::{bpf::ProgramType, perf::Event},
};

/// Names the place in errors and in descriptions.
const SUBJECT: &str = "perf events";

/// The program, with its links to the events of all CPUs.
#[derive(Debug)]
pub struct Sampler {
    // Before the instance: they detach before the program and its maps are dropped.
    links: Vec<Link>,
    shares: Slots,
    /// The position of each function in the program's order.
    places: Vec<usize>,
    instance: LoadedProgram,
}

/// Samples of one function: anywhere in the stack, and as its innermost frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleCounts {
    /// Anywhere in the stack.
    pub inclusive: u64,
    /// As its innermost frame.
    pub own: u64,
}

impl Sampler {
    /// Loads the program of `programs` for `functions`, not yet on any event. The kernel will call
    /// it `name`.
    ///
    /// # Errors
    /// There are too many functions, or the kernel rejects the program or a map.
    pub fn load(programs: &Programs, functions: &[Function], name: &str) -> Result<Self> {
        if functions.len() > FUNCTIONS_MAX {
            return Err(Error::unsupported(
                "target",
                format!(
                    "{} functions, but a sample can distinguish only {FUNCTIONS_MAX}",
                    functions.len()
                ),
                "Trace fewer functions with this method",
            ));
        }
        let cpus = cpus::slots()?;
        let table = u32::try_from(FUNCTIONS_MAX).unwrap_or(u32::MAX);
        let instance = Object::open(programs)?.load(&LoadPlan {
            program: PROGRAM,
            name,
            maps: &[(FUNCTIONS, table), (STACK, 1), (SHARES, cpus)],
            partner: None,
            kind: ProgramType::PerfEvent,
            subject: SUBJECT,
        })?;
        let (ranges, places) = in_order(functions);
        fill(instance.map(FUNCTIONS)?, &ranges)?;
        let shares = Slots::new::<Shares>(&instance, SHARES, 1, SUBJECT)?;
        Ok(Self { links: Vec::new(), shares, places, instance })
    }

    /// Runs the program at each overflow of `event` from now on.
    ///
    /// # Errors
    /// The kernel has no links to perf events, or the event has a program already.
    pub fn attach(&mut self, event: &Event) -> Result<()> {
        self.attach_to(event.as_fd(), &format!("perf event on CPU {}", event.cpu()))
    }

    /// Like [`Sampler::attach`], for an event called `subject` in errors.
    ///
    /// # Errors
    /// As [`Sampler::attach`].
    pub fn attach_to(&mut self, event: BorrowedFd<'_>, subject: &str) -> Result<()> {
        self.links.push(Link::event(self.instance.program.as_fd(), event, subject)?);
        Ok(())
    }

    /// Detaches the program from all events; its counts remain readable.
    ///
    /// # Errors
    /// It is still attached to one.
    pub fn detach(&mut self) -> Result<()> {
        self.links.drain(..).map(Link::detach).fold(Ok(()), Result::and)
    }

    /// All samples so far, without a system call.
    pub fn samples(&self) -> u64 {
        self.shares.sum(offset_of!(Shares, samples))
    }

    /// Those of each function.
    pub fn functions(&self) -> impl Iterator<Item = SampleCounts> + '_ {
        self.places.iter().map(|place| {
            let share = offset_of!(Shares, functions) + place * size_of::<Share>();
            SampleCounts {
                inclusive: self.shares.sum(share + offset_of!(Share, inclusive)),
                own: self.shares.sum(share + offset_of!(Share, own)),
            }
        })
    }

    /// Number of words of one reading of all counts.
    pub fn words(&self) -> usize {
        self.shares.cpus() * (1 + 2 * self.places.len())
    }

    /// The kernel's statistics of its runs; `None` if the kernel kept none, or the program never
    /// ran.
    ///
    /// # Errors
    /// The kernel gives no information about its own program.
    pub fn runs(&self) -> Result<Option<ProgramRuns>> {
        statistics::runs(self.instance.program.as_fd(), SUBJECT.into())
    }

    /// Kernel memory of the program and its maps, as the kernel accounts for it.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or lacks the number.
    pub fn memory(&self) -> Result<Bytes> {
        memory(&self.instance)
    }
}

/// The functions' addresses in the order that the program requires, padded; and the position of
/// each function in it.
fn in_order(functions: &[Function]) -> ([Range; FUNCTIONS_MAX], Vec<usize>) {
    let mut order: Vec<_> = (0..functions.len()).collect();
    order.sort_by_key(|&function| functions[function].addresses.start);
    let mut ranges = [Range { start: u64::MAX, end: u64::MAX }; FUNCTIONS_MAX];
    let mut places = vec![0; functions.len()];
    for (place, &function) in order.iter().enumerate() {
        ranges[place] = functions[function].addresses;
        places[function] = place;
    }
    (ranges, places)
}

fn fill(map: &Shared, ranges: &[Range]) -> Result<()> {
    let failed = |e: MapError| Error::malformed(FUNCTIONS, e.to_string());
    let owned =
        map.fd().as_fd().try_clone_to_owned().map_err(|e| Error::call("dup", FUNCTIONS, e))?;
    let data = MapData::from_fd(owned).map_err(failed)?;
    let mut map: Array<_, [u64; 3]> = Array::try_from(Map::Array(data)).map_err(failed)?;
    for (place, range) in (0_u32..).zip(ranges) {
        let bit = if range.start == u64::MAX { 0 } else { 1 << place };
        map.set(place, [range.start, range.end, bit], 0).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_keep_their_numbers_whatever_their_addresses() {
        let at = |start| Function {
            name: format!("f{start}"),
            module: None,
            addresses: Range { start, end: start + 8 },
        };
        let (ranges, places) = in_order(&[at(50), at(10), at(30)]);
        assert_eq!(places, [2, 0, 1]);
        assert_eq!(ranges[..4].iter().map(|r| r.start).collect::<Vec<_>>(), [10, 30, 50, u64::MAX]);
    }

    #[test]
    fn the_object_has_what_the_sampler_asks_for() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        assert!(object.programs.contains_key(PROGRAM));
        assert_eq!(object.maps[SHARES].value_size() as usize, size_of::<Shares>());
        assert_eq!(object.maps[FUNCTIONS].value_size() as usize, size_of::<[u64; 3]>());
    }
}
