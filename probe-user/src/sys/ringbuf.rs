//! The memory of a `BPF_MAP_TYPE_RINGBUF`, shared with the programs that write to it
//! (kernel/bpf/ringbuf.c).
#![expect(unsafe_code, reason = "mmap(2) of the ring, shared with the kernel")]

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The ring of one map, for its only reader. Positions count all bytes ever written; they never
/// wrap.
///
/// The kernel maps three parts: a page with the reader's position, which only the reader writes; a
/// page with the writers' position; the data. The last two are mapped read-only. Every word is
/// accessed atomically: a writer may be in the middle of a record anywhere after the reader's
/// position.
#[derive(Debug)]
pub struct RingMemory {
    /// One page.
    consumer: NonNull<AtomicU64>,
    /// One page, then the data.
    producer: NonNull<AtomicU64>,
    page: usize,
    size: usize,
}

// SAFETY: the mappings belong to the process, not to a thread; one value owns them, and moving it
// moves nothing there.
unsafe impl Send for RingMemory {}

impl RingMemory {
    /// Maps the ring of `map`, which has `size` bytes, a power of two.
    ///
    /// # Errors
    /// The errno: `EINVAL` if the map is not a ring, or is smaller.
    pub fn new(map: BorrowedFd<'_>, size: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        if !size.is_power_of_two() || size < page {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let both = ProtFlags::READ | ProtFlags::WRITE;
        let consumer = map_shared(map, page, both, 0)?;
        let producer = map_shared(map, page + size, ProtFlags::READ, page as u64);
        let producer = producer.inspect_err(|_| unmap(consumer, page))?;
        Ok(Self { consumer, producer, page, size })
    }

    /// Number of data bytes in the ring.
    pub fn size(&self) -> u64 {
        self.size as u64
    }

    /// The reader's position.
    pub fn consumer(&self) -> u64 {
        // SAFETY: the first word of a mapped page that lives as long as `self`. Relaxed: only the
        // reader writes it.
        unsafe { self.consumer.as_ref() }.load(Ordering::Relaxed)
    }

    /// Releases the space before `position` to the writers.
    pub fn release(&mut self, position: u64) {
        // SAFETY: the first word of a page that is mapped writable and lives as long as `self`; the
        // kernel reads it with acquire semantics and never writes it. Release: what was read before
        // is read before the room is given.
        unsafe { self.consumer.as_ref() }.store(position, Ordering::Release);
    }

    /// The writers' position: every record before it has a header.
    pub fn producer(&self) -> u64 {
        // SAFETY: the first word of the mapped page, which lives as long as `self`; an acquire load
        // only reads. Acquire: pairs with the kernel's smp_store_release, so the headers before the
        // position are visible.
        unsafe { self.producer.as_ref() }.load(Ordering::Acquire)
    }

    /// The data word at `position`, a multiple of eight.
    pub fn word(&self, position: u64) -> u64 {
        let offset = (position & (self.size as u64 - 1)) as usize;
        let index = (self.page + offset) / size_of::<u64>();
        // SAFETY: `offset` is below `size`, so the word lies in the data behind the mapped page,
        // and the mapping lives as long as `self`. It is aligned, as an index of words from a
        // page's start. Loads of read-only memory are sound on 64-bit targets (std::sync::atomic).
        // Acquire: a header that is not busy was stored with a full barrier behind its record
        // (`bpf_ringbuf_commit`), so what is loaded after it is the record.
        unsafe { self.producer.add(index).as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        unmap(self.consumer, self.page);
        unmap(self.producer, self.page + self.size);
    }
}

fn map_shared(
    map: BorrowedFd<'_>,
    bytes: usize,
    protection: ProtFlags,
    offset: u64,
) -> io::Result<NonNull<AtomicU64>> {
    // SAFETY: the kernel chooses the address, so no existing mapping is touched; it refuses what
    // lies beyond the map, and the mapping holds a reference to the map of its own.
    let start = unsafe { mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, map, offset) }?;
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn unmap(start: NonNull<AtomicU64>, bytes: usize) {
    // SAFETY: called once for each mapping that `map_shared` made, with its length, by its owner;
    // no reference into it outlives a call of a method above. The result can only tell that the
    // arguments are no mapping.
    let _ = unsafe { munmap(start.as_ptr().cast(), bytes) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        os::{fd::AsFd as _, unix::fs::FileExt as _},
    };

    #[test]
    fn positions_and_data_are_where_the_kernel_puts_them() {
        let page = rustix::param::page_size() as u64;
        let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = File::from(fd);
        file.set_len(3 * page).unwrap();
        let mut ring = RingMemory::new(file.as_fd(), page as usize).unwrap();
        for (value, at) in [(24_u64, page), (7, 2 * page), (9, 2 * page + 8)] {
            file.write_at(&value.to_ne_bytes(), at).unwrap();
        }
        assert_eq!((ring.producer(), ring.word(0), ring.word(8)), (24, 7, 9));
        assert_eq!(ring.word(page + 8), 9, "the data wrap around");
        ring.release(16);
        let mut position = [0; 8];
        file.read_exact_at(&mut position, 0).unwrap();
        assert_eq!((u64::from_ne_bytes(position), ring.consumer()), (16, 16));
    }

    #[test]
    fn what_is_no_ring_is_an_error() {
        let null = File::open("/dev/null").unwrap();
        for size in [0, 100, 4096 * 3, 1 << 16] {
            assert!(RingMemory::new(null.as_fd(), size).is_err(), "{size}");
        }
    }
}
