//! A trace ring buffer that is mapped into memory (include/uapi/linux/trace_mmap.h, Linux 6.10).
#![expect(unsafe_code, reason = "mmap(2) of memory that the kernel writes to")]

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::call::{self, Call};

/// `_IO('R', 0x20)`.
const TRACE_MMAP_IOCTL_GET_READER: u32 = (b'R' as u32) << 8 | 0x20;

/// Offsets in `struct trace_buffer_meta`, in 4-byte words.
const META_PAGE_SIZE: usize = 0;
const SUBBUF_SIZE: usize = 2;
const NR_SUBBUFS: usize = 3;
const READER_ID: usize = 6;
const READER_READ: usize = 7;

/// Longest header of a sub-buffer that is returned.
const HEADER: usize = 16;

/// The buffer of one CPU, mapped read-only.
#[derive(Debug)]
pub struct MappedRing {
    map: Map,
    /// Offset of the first sub-buffer.
    meta: usize,
    subbuf: usize,
    subbufs: usize,
}

/// The sub-buffer that belongs to the reader, as far as it is written.
#[derive(Debug)]
pub struct SubBuffer<'a> {
    /// Its number.
    pub id: u32,
    /// Its header, up to the data.
    pub header: [u8; HEADER],
    /// Its committed events.
    pub events: &'a [u8],
    /// The eight bytes after them, zero beyond its end. After a full sub-buffer, the kernel stores
    /// the number of events that were lost before it.
    pub behind: [u8; 8],
}

impl MappedRing {
    /// Maps the buffer of an open `trace_pipe_raw`. `page_size` is that of a sub-buffer, including
    /// its header.
    ///
    /// # Errors
    /// The errno: `ENODEV` if the kernel does not map ring buffers. `InvalidData` if its
    /// description of itself contradicts `page_size`.
    pub fn new(file: BorrowedFd<'_>, page_size: usize) -> io::Result<Self> {
        let word = |map: &Map, index| map.word(index * 4).map_or(0, |n| n as usize);
        let first = Map::new(file, rustix::param::page_size())?;
        let (meta, subbuf) = (word(&first, META_PAGE_SIZE), word(&first, SUBBUF_SIZE));
        let subbufs = word(&first, NR_SUBBUFS);
        drop(first);
        let sane =
            meta > READER_READ * 4 && meta % 4 == 0 && subbuf == page_size && subbuf % 8 == 0;
        let length = subbuf.checked_mul(subbufs).and_then(|all| all.checked_add(meta));
        let length = length.filter(|_| sane && subbufs > 0).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { map: Map::new(file, length)?, meta, subbuf, subbufs })
    }

    /// Returns what was written since the last call on `file`, the one that was mapped: more of the
    /// same sub-buffer, or the next one if all of it was returned. `data` is the length of a
    /// sub-buffer's header.
    ///
    /// # Errors
    /// The errno, or `InvalidData` if the kernel points outside the mapping.
    pub fn next(&mut self, file: BorrowedFd<'_>, data: usize) -> io::Result<SubBuffer<'_>> {
        match call::make(Call::IoctlValue {
            fd: file,
            request: TRACE_MMAP_IOCTL_GET_READER,
            value: 0,
        }) {
            // Nothing was ever written.
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => {}
            other => {
                other?;
            }
        }
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let id = self.map.word(READER_ID * 4).ok_or_else(bad)?;
        let read = self.map.word(READER_READ * 4).ok_or_else(bad)? as usize;
        if id as usize >= self.subbufs || data > HEADER || data.saturating_add(read) > self.subbuf {
            return Err(bad());
        }
        let start = self.meta + id as usize * self.subbuf;
        let mut header = [0; HEADER];
        for at in (0..data).step_by(4) {
            let word = self.map.word(start + at).ok_or_else(bad)?;
            header[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let events = self.map.committed(start + data, read).ok_or_else(bad)?;
        Ok(SubBuffer { id, header, events, behind: self.behind(start + data + read, start) })
    }

    /// The two words at `at`, as far as they belong to the sub-buffer at `start`.
    fn behind(&self, at: usize, start: usize) -> [u8; 8] {
        let mut behind = [0; 8];
        if at.is_multiple_of(4) && at + 8 <= start + self.subbuf {
            for half in [0, 4] {
                let word = self.map.word(at + half).unwrap_or_default();
                behind[half..half + 4].copy_from_slice(&word.to_ne_bytes());
            }
        }
        behind
    }
}

/// A read-only shared mapping.
#[derive(Debug)]
struct Map {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only ever read.
unsafe impl Send for Map {}

impl Map {
    fn new(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        // SAFETY: the kernel chooses the address, so no existing mapping is touched; it refuses a
        // length beyond the buffer's pages, and keeps a reference to the buffer for as long as it
        // is mapped.
        let start =
            unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, length })
    }

    /// The current value of the 4-byte word at `at`, a multiple of four. `None` beyond the end.
    fn word(&self, at: usize) -> Option<u32> {
        if !at.is_multiple_of(4) || at.checked_add(4)? > self.length {
            return None;
        }
        // SAFETY: inside the mapping, which lives as long as `self`, and aligned, as it starts on a
        // page. The kernel may store to it at this moment, in whole aligned words, so it is read
        // atomically, through a reference to an atomic only; relaxed loads from read-only memory
        // are sound (std::sync::atomic, "Atomic accesses to read-only memory").
        Some(unsafe { self.start.add(at).cast::<AtomicU32>().as_ref() }.load(Ordering::Relaxed))
    }

    /// `length` bytes of committed events at `at`. `None` beyond the end.
    ///
    /// Call it only for data that the kernel says the reader owns: see the SAFETY argument.
    fn committed(&self, at: usize, length: usize) -> Option<&[u8]> {
        if at.checked_add(length)? > self.length {
            return None;
        }
        // SAFETY: inside the mapping, which lives as long as `self`. Its only caller,
        // `MappedRing::next`, passes the part of the reader's own sub-buffer that the kernel has
        // counted as read: the ring buffer's writers never go back behind what they have committed
        // (kernel/trace/ring_buffer.c, `rb_commit`), and the sub-buffer is not given back to them
        // before the next ioctl on this file, which needs `&mut MappedRing` and so ends this
        // borrow. The buffer is an instance of this process's own, which nobody else reads, resets
        // or resizes; the kernel itself refuses to resize it while it is mapped. Every byte pattern
        // is a valid `u8`.
        Some(unsafe { slice::from_raw_parts(self.start.add(at).as_ptr(), length) })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; no reference into it outlives a borrow of `self`. The
        // result can only tell that the arguments are not a mapping.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::{fd::AsFd as _, unix::fs::FileExt as _},
    };

    use super::{super::call::Script, *};

    const PAGE: usize = 4096;

    /// Two sub-buffers after a meta page, with the reader on `id`, which has read `read` bytes.
    fn ring(id: u32, read: u32) -> File {
        let fd = rustix::fs::memfd_create("ring", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = File::from(fd);
        file.set_len(3 * PAGE as u64).unwrap();
        let page = PAGE as u32;
        for (index, word) in [page, 80, page, 2, 0, 0, id, read].into_iter().enumerate() {
            file.write_at(&word.to_ne_bytes(), index as u64 * 4).unwrap();
        }
        file.write_at(&[7; 32], 2 * PAGE as u64).unwrap();
        file
    }

    #[test]
    fn the_readers_sub_buffer_is_handed_out_as_far_as_it_is_read() {
        let file = ring(1, 12);
        let mut ring = MappedRing::new(file.as_fd(), PAGE).unwrap();
        let _script = Script::install([0]);
        let sub = ring.next(file.as_fd(), 16).unwrap();
        assert_eq!((sub.id, sub.header, sub.events), (1, [7; 16], &[7; 12][..]));
        assert_eq!(sub.behind, [7, 7, 7, 7, 0, 0, 0, 0]);
    }

    #[test]
    fn a_kernel_that_points_outside_is_not_followed() {
        for (id, read) in [(2, 0), (0, PAGE as u32 - 15), (u32::MAX, 0), (0, u32::MAX)] {
            let file = ring(id, read);
            let mut ring = MappedRing::new(file.as_fd(), PAGE).unwrap();
            let _script = Script::install([0]);
            let error = ring.next(file.as_fd(), 16).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{id} {read}");
        }
    }

    #[test]
    fn another_page_size_or_no_mapping_is_an_error() {
        assert!(MappedRing::new(ring(0, 0).as_fd(), 2 * PAGE).is_err());
        let null = File::open("/dev/null").unwrap();
        assert_eq!(
            MappedRing::new(null.as_fd(), PAGE).unwrap_err().raw_os_error(),
            Some(libc::ENODEV)
        );
    }

    #[test]
    fn a_refused_call_is_an_error_and_nothing_yet_is_none() {
        let file = ring(0, 0);
        let mut ring = MappedRing::new(file.as_fd(), PAGE).unwrap();
        let _script = Script::install([-i64::from(libc::EAGAIN), -i64::from(libc::EIO)]);
        assert!(ring.next(file.as_fd(), 16).unwrap().events.is_empty());
        assert!(ring.next(file.as_fd(), 16).is_err());
    }
}
