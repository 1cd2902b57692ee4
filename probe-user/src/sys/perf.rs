//! perf_event_open(2): one event on one CPU, and the ring it writes its records to.
#![expect(unsafe_code, reason = "mmap of the event's ring, shared with the kernel")]

use std::{
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::call::{self, Call};
use crate::{
    error::{Error, Result},
    model::units::{Hertz, Nanos},
};

/// How often an event leaves a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// So many per second of the event's time; the kernel adapts the period where it must.
    Frequency(Hertz),
    /// One in so many events.
    Period(u64),
    /// Never: it only counts.
    Never,
}

/// What to count or sample, on one CPU, for all tasks. Events start disabled, take their time from
/// `CLOCK_MONOTONIC`, and record the kernel's part of call chains only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// `PERF_TYPE_*`, or the number of a dynamic PMU.
    pub kind: u32,
    /// The event within that type.
    pub config: u64,
    /// How often it leaves a record.
    pub rate: Rate,
    /// `PERF_SAMPLE_*`: what a record holds.
    pub sample_type: u64,
}

/// `PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING`.
const FORMAT_TIMES: u64 = 1 | 2;
/// `PERF_FORMAT_LOST`, since Linux 6.0.
const FORMAT_LOST: u64 = 1 << 4;

/// `PERF_FLAG_FD_CLOEXEC`.
const FLAG_FD_CLOEXEC: u64 = 1 << 3;

impl Attr {
    /// `struct perf_event_attr` as of `PERF_ATTR_SIZE_VER5` (include/uapi/linux/perf_event.h): every kernel since 4.1
    /// takes this length, and nothing newer is used here.
    fn bytes(&self, read_format: u64) -> [u8; 112] {
        const DISABLED: u64 = 1;
        const FREQ: u64 = 1 << 10;
        const EXCLUDE_CALLCHAIN_USER: u64 = 1 << 22;
        const USE_CLOCKID: u64 = 1 << 25;

        let (rate, freq) = match self.rate {
            Rate::Frequency(hertz) => (hertz.0.into(), FREQ),
            Rate::Period(period) => (period, 0),
            Rate::Never => (0, 0),
        };
        let flags = DISABLED | freq | EXCLUDE_CALLCHAIN_USER | USE_CLOCKID;
        let mut attr = [0; 112];
        let mut put = |at: usize, bytes: &[u8]| attr[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.kind.to_ne_bytes());
        put(4, &112_u32.to_ne_bytes());
        put(8, &self.config.to_ne_bytes());
        put(16, &rate.to_ne_bytes());
        put(24, &self.sample_type.to_ne_bytes());
        put(32, &read_format.to_ne_bytes());
        put(40, &flags.to_ne_bytes());
        put(92, &libc::CLOCK_MONOTONIC.to_ne_bytes());
        attr
    }
}

/// An open event on one CPU. It ends when it is dropped.
#[derive(Debug)]
pub struct Event {
    fd: OwnedFd,
    cpu: u32,
    reports_loss: bool,
}

/// What an event counted, from read(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// The count.
    pub value: u64,
    /// Time that the event was enabled.
    pub enabled: Nanos,
    /// Of that, the time it was on the PMU.
    pub running: Nanos,
    /// Records that found no room in the ring; none where the kernel does not tell (before 6.0).
    pub lost: Option<u64>,
}

impl Event {
    /// Opens the event on `cpu` for all tasks, disabled.
    ///
    /// # Errors
    /// The kernel refused: `ENOENT` or `EOPNOTSUPP` where it has no such event, `EACCES` where
    /// `perf_event_paranoid` forbids it.
    pub fn open(attr: &Attr, cpu: u32) -> io::Result<Self> {
        let open = |read_format| {
            call::make_fd(Call::PerfEventOpen {
                attr: &attr.bytes(read_format),
                pid: -1,
                cpu: i32::try_from(cpu).unwrap_or(i32::MAX),
                group: None,
                flags: FLAG_FD_CLOEXEC,
            })
        };
        match open(FORMAT_TIMES | FORMAT_LOST) {
            Ok(fd) => Ok(Self { fd, cpu, reports_loss: true }),
            // Kernels before 6.0 refuse the unknown format, but EINVAL has other causes too: then this fails as well.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                Ok(Self { fd: open(FORMAT_TIMES)?, cpu, reports_loss: false })
            }
            Err(e) => Err(e),
        }
    }

    /// Its CPU.
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Starts it.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn enable(&self) -> Result<()> {
        const PERF_EVENT_IOC_ENABLE: u32 = 0x2400;
        self.ioctl("ioctl(PERF_EVENT_IOC_ENABLE)", PERF_EVENT_IOC_ENABLE)
    }

    /// Stops it; its ring and its counts stay readable.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn disable(&self) -> Result<()> {
        const PERF_EVENT_IOC_DISABLE: u32 = 0x2401;
        self.ioctl("ioctl(PERF_EVENT_IOC_DISABLE)", PERF_EVENT_IOC_DISABLE)
    }

    fn ioctl(&self, call: &'static str, request: u32) -> Result<()> {
        call::make(Call::IoctlValue { fd: self.fd.as_fd(), request, value: 0 })
            .map_err(|e| Error::call(call, self.subject(), e))?;
        Ok(())
    }

    /// Reads its counts.
    ///
    /// # Errors
    /// The kernel refused, or gave fewer bytes than were asked for.
    pub fn read(&self) -> Result<Reading> {
        let mut words = [0_u8; 32];
        let wanted = if self.reports_loss { 32 } else { 24 };
        let got = rustix::io::read(&self.fd, &mut words)
            .map_err(|e| Error::call("read", self.subject(), e.into()))?;
        if got != wanted {
            return Err(Error::malformed(self.subject(), format!("{got} bytes, not {wanted}")));
        }
        let (words, _) = words.as_chunks();
        let word = |i: usize| u64::from_ne_bytes(words[i]);
        Ok(Reading {
            value: word(0),
            enabled: Nanos(word(1)),
            running: Nanos(word(2)),
            lost: self.reports_loss.then(|| word(3)),
        })
    }

    /// Maps its ring of `pages` data pages, a power of two.
    ///
    /// # Errors
    /// The kernel refused: too much locked memory, or no power of two.
    pub fn map(&self, pages: usize) -> Result<Ring> {
        Ring::map(self.fd.as_fd(), pages)
            .map_err(|e| Error::call("mmap", self.subject(), e))
            .map_err(|e| e.with_remedy("Run as root, or raise kernel.perf_event_mlock_kb"))
    }

    fn subject(&self) -> String {
        format!("perf event on CPU {}", self.cpu)
    }
}

/// Offsets in `struct perf_event_mmap_page`, the first page of the mapping.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// The ring that an event writes its records to; read by one reader.
#[derive(Debug)]
pub struct Ring {
    base: NonNull<u8>,
    /// Of the whole mapping: one page of control, then the data.
    length: NonZeroUsize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Bytes ever taken out; the kernel's `data_tail`.
    tail: u64,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread; the kernel shares it by the protocol
// of data_head and data_tail, whatever thread reads.
unsafe impl Send for Ring {}

impl Ring {
    fn map(fd: BorrowedFd<'_>, pages: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        if !pages.is_power_of_two() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let length = NonZeroUsize::MIN.saturating_add(page * (1 + pages) - 1);
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so the kernel picks one that nothing else uses, for `length` bytes. The
        // mapping outlives `fd`, and is undone once, when the value is dropped.
        let base = unsafe { mmap(ptr::null_mut(), length.get(), flags.0, flags.1, fd, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { base, length, size: (page * pages) as u64, tail: 0 })
    }

    /// Appends all records that are there to `into`, whole and in order, and frees their room. Returns their length.
    ///
    /// # Errors
    /// The kernel's head is further ahead of the tail than the ring is long.
    pub fn drain(&mut self, into: &mut Vec<u8>) -> Result<usize> {
        // Acquire: what the kernel wrote before it moved the head is visible behind this load
        // (kernel/events/ring_buffer.c, "perf_output_put_handle").
        let head = self.control(DATA_HEAD).load(Ordering::Acquire);
        let length = head.wrapping_sub(self.tail);
        if length > self.size {
            let why = format!(
                "head {head} is {length} bytes ahead of the tail in a ring of {}",
                self.size
            );
            return Err(Error::malformed("perf ring", why));
        }
        let start = self.tail & (self.size - 1);
        let first = length.min(self.size - start);
        into.extend_from_slice(self.data(start, first));
        into.extend_from_slice(self.data(0, length - first));
        self.tail = head;
        // Release: the kernel may overwrite the room only after the copies above.
        self.control(DATA_TAIL).store(head, Ordering::Release);
        Ok(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Bytes of the mapping.
    pub fn mapped(&self) -> usize {
        self.length.get()
    }

    fn control(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: `offset` is one of the two constants above: inside the mapping's first page and aligned to eight
        // bytes, as the mapping is to a page. The kernel accesses these words atomically too. The reference lives no
        // longer than the mapping, by the borrow of self.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    /// `length` bytes of the data from `start`: `start + length <= size`, between tail and head.
    fn data(&self, start: u64, length: u64) -> &[u8] {
        debug_assert!(start + length <= self.size);
        let page = self.length.get() as u64 - self.size;
        // SAFETY: the range lies inside the mapping, whose data start behind the first page. The kernel does not
        // write between data_tail and data_head until the tail is moved, which the only caller does after copying.
        unsafe {
            slice::from_raw_parts(self.base.as_ptr().add((page + start) as usize), length as usize)
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made by `map`, and no reference to it is left: each borrows self.
        let undone = unsafe { munmap(self.base.as_ptr().cast(), self.length.get()) };
        debug_assert!(undone.is_ok(), "{undone:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// A file in place of an event, so that the test plays the kernel's part by writing to it.
    fn played() -> (File, Ring, u64) {
        let page = rustix::param::page_size() as u64;
        let file = File::from(memfd_create("ring", MemfdFlags::CLOEXEC).unwrap());
        file.set_len(3 * page).unwrap();
        let ring = Ring::map(file.as_fd(), 2).unwrap();
        (file, ring, page)
    }

    fn word(file: &File, at: usize) -> u64 {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at as u64).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn set_head(file: &File, head: u64) {
        file.write_all_at(&head.to_ne_bytes(), DATA_HEAD as u64).unwrap();
    }

    #[test]
    fn records_are_copied_across_the_end_and_their_room_is_freed() {
        let (file, mut ring, page) = played();
        let mut out = Vec::new();
        assert_eq!(ring.drain(&mut out).unwrap(), 0);
        // Move to eight bytes before the end.
        set_head(&file, 2 * page - 8);
        ring.drain(&mut out).unwrap();
        out.clear();
        file.write_all_at(b"01234567", 3 * page - 8).unwrap();
        file.write_all_at(b"89abcdef", page).unwrap();
        set_head(&file, 2 * page + 8);
        assert_eq!(ring.drain(&mut out).unwrap(), 16);
        assert_eq!(out, b"0123456789abcdef");
        assert_eq!(word(&file, DATA_TAIL), 2 * page + 8);
    }

    #[test]
    fn an_impossible_head_is_refused() {
        let (file, mut ring, page) = played();
        set_head(&file, 2 * page + 1);
        assert!(ring.drain(&mut Vec::new()).is_err());
    }

    #[test]
    fn only_powers_of_two_are_mapped() {
        let (file, _ring, _) = played();
        assert_eq!(Ring::map(file.as_fd(), 3).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn the_attr_is_laid_out_as_the_kernels() {
        let rate = Rate::Frequency(Hertz(999));
        let attr = Attr { kind: 1, config: 2, rate, sample_type: 0x27 }.bytes(3);
        let word = |at: usize| u64::from_ne_bytes(attr[at..at + 8].try_into().unwrap());
        assert_eq!(word(0), 1 | 112 << 32);
        assert_eq!((word(8), word(16), word(24), word(32)), (2, 999, 0x27, 3));
        assert_eq!(word(40), 1 | 1 << 10 | 1 << 22 | 1 << 25);
        assert_eq!(word(88) >> 32, 1);
    }

    #[test]
    fn a_kernel_without_the_loss_format_is_asked_again_without() {
        let pipe = rustix::pipe::pipe().unwrap();
        let fd = std::os::fd::IntoRawFd::into_raw_fd(pipe.1);
        let script = call::Script::install([-i64::from(libc::EINVAL), fd.into()]);
        let attr = Attr { kind: 1, config: 0, rate: Rate::Never, sample_type: 0 };
        let event = Event::open(&attr, 0).unwrap();
        assert!(!event.reports_loss);
        assert_eq!(script.remaining(), 0);
    }
}
