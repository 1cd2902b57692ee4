//! The ring for an event's records, shared with the kernel.
#![expect(unsafe_code, reason = "mmap of the event's ring, shared with the kernel")]

use std::{
    io,
    mem::offset_of,
    num::NonZeroUsize,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};

use aya_obj::generated::perf_event_mmap_page;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use probe_core::error::{Error, Result};

/// Offsets in the first page of the mapping.
const DATA_HEAD: usize = offset_of!(perf_event_mmap_page, data_head);
const DATA_TAIL: usize = offset_of!(perf_event_mmap_page, data_tail);

/// The ring for an event's records; it has one reader.
#[derive(Debug)]
pub struct Ring {
    base: NonNull<u8>,
    /// Of the whole mapping: one page of control, then the data.
    length: NonZeroUsize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Total bytes read; the kernel's `data_tail`.
    tail: u64,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread; the kernel shares it
// by the protocol of data_head and data_tail, whatever thread reads.
unsafe impl Send for Ring {}

impl Ring {
    pub(super) fn map(fd: BorrowedFd<'_>, pages: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        if !pages.is_power_of_two() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let length = NonZeroUsize::MIN.saturating_add(page * (1 + pages) - 1);
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so the kernel picks one that nothing else uses, for
        // `length` bytes. The mapping outlives `fd`, and is undone once, when the value is dropped.
        let base = unsafe { mmap(ptr::null_mut(), length.get(), flags.0, flags.1, fd, 0) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { base, length, size: (page * pages) as u64, tail: 0 })
    }

    /// Appends all available records to `into`, complete and in order, and releases their space.
    /// Returns their length.
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
        // SAFETY: `offset` is one of the two constants above: inside the mapping's first page and
        // aligned to eight bytes, as the mapping is to a page. The kernel accesses these words
        // atomically too. The reference lives no longer than the mapping, by the borrow of self.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }

    /// `length` bytes of the data from `start`: `start + length <= size`, between tail and head.
    fn data(&self, start: u64, length: u64) -> &[u8] {
        debug_assert!(start + length <= self.size);
        let page = self.length.get() as u64 - self.size;
        // SAFETY: the range lies inside the mapping, whose data start behind the first page. The
        // kernel does not write between data_tail and data_head until the tail is moved, which the
        // only caller does after copying.
        unsafe {
            slice::from_raw_parts(self.base.as_ptr().add((page + start) as usize), length as usize)
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made by `map`, and no reference to it is left: each borrows
        // self.
        let undone = unsafe { munmap(self.base.as_ptr().cast(), self.length.get()) };
        debug_assert!(undone.is_ok(), "{undone:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::{fd::AsFd as _, unix::fs::FileExt as _},
    };

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// A file instead of an event, so that the test plays the kernel's part by writing to it.
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
}
