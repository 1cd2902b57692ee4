//! One loaded program and the place that it is for.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use probe_core::{
    error::{Error, Result},
    model::{loss::Loss, observation::ProgramRuns, units::Bytes},
};

use super::{link::Link, object::Instance, place::Place, statistics};
use crate::sys::bpf::{self, LinkInfo, ProgramInfo};

/// A program that can be attached, and detached, to one place.
#[derive(Debug)]
pub struct Attachable {
    /// Names the place in errors and in what is told to people.
    pub subject: String,
    place: Place,
    // Before the instance: it detaches before the program and its maps go.
    link: Option<Link>,
    /// What the link told when it was last attached.
    last: Option<LinkInfo>,
    instance: Instance,
}

impl Attachable {
    /// `instance`, not attached.
    pub fn new(subject: String, place: Place, instance: Instance) -> Self {
        Self { subject, place, link: None, last: None, instance }
    }

    /// The program.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Attaches it.
    ///
    /// # Errors
    /// The kernel has no such place, or refuses the program there.
    pub fn attach(&mut self) -> Result<()> {
        let program = self.instance.program.as_fd();
        self.link = Some(self.place.attach(program, &self.subject)?);
        Ok(())
    }

    /// Detaches it. Nothing to do where it is not attached.
    ///
    /// # Errors
    /// The program is still attached, or the kernel does not tell what its link missed.
    pub fn detach(&mut self) -> Result<()> {
        let Some(link) = self.link.take() else { return Ok(()) };
        // Only a living link tells. A hit that it misses between these two lines is not told of.
        let info = link.info();
        link.detach()?;
        self.last = Some(info?);
        Ok(())
    }

    /// Hits at which the program did not run: those that the probe missed, and those that the
    /// kernel skipped because a program was running already.
    ///
    /// # Errors
    /// The kernel does not tell of its own program or link.
    pub fn missed(&self) -> Result<Loss> {
        let link = match &self.link {
            Some(link) => Some(link.info()?),
            None => self.last,
        };
        Ok(missed(&self.place, link, self.info()?.recursion_misses))
    }

    /// What is attached where, for people.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn describe(&self) -> Result<String> {
        let ProgramInfo { id, verified_instructions, .. } = self.info()?;
        let verified = verified_instructions
            .map(|n| format!(", {n} instructions verified"))
            .unwrap_or_default();
        let link = match &self.link {
            Some(link) => format!("by link {}", link.id()),
            None => "not attached".into(),
        };
        Ok(format!("{}: {} program {id}{verified}, {link}", self.subject, self.place.name()))
    }

    /// What the kernel says of its runs; none where it kept no statistics, or the program never
    /// ran.
    ///
    /// # Errors
    /// The kernel does not tell of its own program.
    pub fn runs(&self) -> Result<Option<ProgramRuns>> {
        let program = format!("{}: {}", self.subject, self.place.name());
        statistics::runs(self.instance.program.as_fd(), program)
    }

    /// Kernel memory of the program alone, by the kernel's own account.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or does not have the account.
    pub fn program_memory(&self) -> Result<Bytes> {
        Ok(Bytes(memlock(self.instance.program.as_fd())?))
    }

    /// Kernel memory of the program and its maps.
    ///
    /// # Errors
    /// As [`Attachable::program_memory`].
    pub fn memory(&self) -> Result<Bytes> {
        memory(&self.instance)
    }

    fn info(&self) -> Result<ProgramInfo> {
        bpf::program_info(self.instance.program.as_fd())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", &self.subject, e))
    }
}

/// What was missed, by what the link and the program tell.
fn missed(place: &Place, link: Option<LinkInfo>, skipped: Option<u64>) -> Loss {
    let skipped = skipped.map_or(Loss::Unknown, Loss::Exact);
    if place.always_counts_skips() {
        return skipped;
    }
    // Never attached: nothing was there to be missed.
    let Some(link) = link else { return Loss::NONE };
    let skipped = if link.counts_skips { skipped } else { Loss::Unknown };
    if place.is_probe() {
        skipped.and(link.missed.map_or(Loss::Unknown, Loss::Exact))
    } else {
        skipped
    }
}

/// Kernel memory of a program and its maps, by the kernel's own account.
///
/// # Errors
/// /proc/self/fdinfo cannot be read, or does not have the account.
pub(super) fn memory(instance: &Instance) -> Result<Bytes> {
    let maps = instance.maps().map(memlock).sum::<Result<u64>>()?;
    Ok(Bytes(memlock(instance.program.as_fd())? + maps))
}

fn memlock(fd: BorrowedFd<'_>) -> Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = fs::read_to_string(&path).map_err(|e| Error::file("read", &path, e))?;
    text.lines()
        .find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok())
        .ok_or_else(|| Error::malformed(path, "it has no memlock line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_does_not_count_is_unknown() {
        let link = |counts_skips, missed| Some(LinkInfo { id: 1, counts_skips, missed });
        let (raw, trace) = (Place::RawTracepoint("x".into()), Place::Tracepoint(1));
        let multi = Place::KprobeMulti { addresses: vec![], cookies: vec![] };
        assert_eq!(missed(&raw, link(false, None), Some(2)), Loss::Exact(2));
        assert_eq!(missed(&raw, link(false, None), None), Loss::Unknown);
        // Before 6.7 the program's count stays zero whatever is skipped.
        assert_eq!(missed(&trace, link(false, None), Some(0)), Loss::Unknown);
        assert_eq!(missed(&multi, link(false, None), Some(0)), Loss::Unknown);
        assert_eq!(missed(&trace, link(true, None), Some(2)), Loss::Exact(2));
        assert_eq!(missed(&multi, link(true, Some(3)), Some(2)), Loss::Exact(5));
        assert_eq!(missed(&multi, None, Some(0)), Loss::NONE);
    }
}
