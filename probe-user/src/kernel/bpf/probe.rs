//! One loaded program with its own maps, and the place that it is for.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

use probe_core::{
    error::{Error, Result},
    model::{loss::Loss, observation::ProgramRuns, units::Bytes},
};

use super::{
    attach_point::AttachPoint,
    link::Link,
    object::{LoadedProgram, Map},
    slots::Slots,
    statistics,
};
use crate::sys::bpf::{self, LinkInfo, ProgramInfo};

/// A program that can be attached to, and detached from, one place.
#[derive(Debug)]
pub struct Probe {
    /// Names the place in errors and in descriptions.
    pub subject: String,
    place: AttachPoint,
    // Before the instance: it detaches before the program and its maps go.
    link: Option<Link>,
    /// The link's information when it was last attached.
    last: Option<LinkInfo>,
    instance: LoadedProgram,
}

impl Probe {
    /// `instance`, not attached.
    pub(super) fn new(subject: String, place: AttachPoint, instance: LoadedProgram) -> Self {
        Self { subject, place, link: None, last: None, instance }
    }

    /// The program and its maps.
    pub(super) fn instance(&self) -> &LoadedProgram {
        &self.instance
    }

    /// The program.
    pub fn program(&self) -> BorrowedFd<'_> {
        self.instance.program.as_fd()
    }

    /// One of its maps.
    ///
    /// # Errors
    /// It was loaded without this map.
    pub fn map(&self, name: &str) -> Result<&Map> {
        self.instance.map(name)
    }

    /// The slots of its map `name`, one `T` for each CPU number and item.
    ///
    /// # Errors
    /// It has no such map, or the kernel refuses to map it.
    pub fn slots<T>(&self, name: &str, items: usize) -> Result<Slots> {
        Slots::new::<T>(&self.instance, name, items, &self.subject)
    }

    /// Attaches it.
    ///
    /// # Errors
    /// The kernel has no such place, or rejects the program there.
    pub fn attach(&mut self) -> Result<()> {
        self.link = Some(self.place.attach(self.instance.program.as_fd(), &self.subject)?);
        Ok(())
    }

    /// Detaches it, if it is attached; its maps remain readable.
    ///
    /// # Errors
    /// The program is still attached, or the kernel does not report what its link missed.
    pub fn detach(&mut self) -> Result<()> {
        let Some(link) = self.link.take() else { return Ok(()) };
        // Only a live link has this information. A hit that it misses between these two lines is
        // not counted.
        let info = link.info();
        link.detach()?;
        self.last = Some(info?);
        Ok(())
    }

    /// Hits at which the program did not run: those that the probe missed, and those that the
    /// kernel skipped because a program was already running.
    ///
    /// # Errors
    /// The kernel gives no information about its own program or link.
    pub fn missed(&self) -> Result<Loss> {
        let link = match &self.link {
            Some(link) => Some(link.info()?),
            None => self.last,
        };
        Ok(missed(&self.place, link, self.info()?.recursion_misses))
    }

    /// The same, if it must be a number.
    ///
    /// # Errors
    /// The kernel does not report it.
    pub fn missed_exactly(&self) -> Result<u64> {
        self.missed()?.exact().ok_or_else(|| {
            Error::unsupported(
                format!("exact count of {}", self.subject),
                "this kernel does not report how often a BPF program was skipped",
                "Use Linux 5.12 or newer",
            )
        })
    }

    /// A description of what is attached where.
    ///
    /// # Errors
    /// The kernel gives no information about its own program.
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

    /// The kernel's statistics of its runs; `None` if the kernel kept none, or the program never
    /// ran.
    ///
    /// # Errors
    /// The kernel gives no information about its own program.
    pub fn runs(&self) -> Result<Option<ProgramRuns>> {
        statistics::runs(self.program(), format!("{}: {}", self.subject, self.place.name()))
    }

    /// Kernel memory of the program and the maps that were created for it.
    ///
    /// # Errors
    /// /proc/self/fdinfo cannot be read, or lacks the number.
    pub fn memory(&self) -> Result<Bytes> {
        memory(&self.instance)
    }

    fn info(&self) -> Result<ProgramInfo> {
        bpf::program_info(self.program())
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", &self.subject, e))
    }
}

/// What was missed, by what the link and the program tell.
fn missed(place: &AttachPoint, link: Option<LinkInfo>, skipped: Option<u64>) -> Loss {
    let skipped = skipped.map_or(Loss::Unknown, Loss::Exact);
    if place.always_counts_skips() {
        return skipped;
    }
    // Never attached: nothing could be missed.
    let Some(link) = link else { return Loss::NONE };
    let skipped = if link.counts_skips { skipped } else { Loss::Unknown };
    if place.is_probe() {
        skipped.and(link.missed.map_or(Loss::Unknown, Loss::Exact))
    } else {
        skipped
    }
}

/// Kernel memory of a program and its own maps, as the kernel accounts for it. Older kernels leave
/// out a ring, which is added by its size.
///
/// # Errors
/// /proc/self/fdinfo cannot be read, or does not have the account.
pub(super) fn memory(instance: &LoadedProgram) -> Result<Bytes> {
    let maps = instance.maps().map(|map| memlock(map.fd().as_fd())).sum::<Result<u64>>()?;
    let known = memlock(instance.program.as_fd())? + maps;
    let ring = u64::from(instance.ring);
    Ok(Bytes(if known < ring { known + ring } else { known }))
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
        let (raw, trace) = (AttachPoint::RawTracepoint("x".into()), AttachPoint::Tracepoint(1));
        let multi = AttachPoint::KprobeMulti { addresses: vec![], cookies: vec![] };
        assert_eq!(missed(&raw, link(false, None), Some(2)), Loss::Exact(2));
        assert_eq!(missed(&raw, link(false, None), None), Loss::Unknown);
        // Before 6.7 the program's count remains zero whatever is skipped.
        assert_eq!(missed(&trace, link(false, None), Some(0)), Loss::Unknown);
        assert_eq!(missed(&multi, link(false, None), Some(0)), Loss::Unknown);
        assert_eq!(missed(&trace, link(true, None), Some(2)), Loss::Exact(2));
        assert_eq!(missed(&multi, link(true, Some(3)), Some(2)), Loss::Exact(5));
        assert_eq!(missed(&multi, None, Some(0)), Loss::NONE);
    }
}
