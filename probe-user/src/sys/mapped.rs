//! A BPF array that user space reads without system calls.
#![expect(unsafe_code, reason = "mmap(2) of a map that kernel programs write to")]

use std::{
    io,
    os::fd::BorrowedFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The values of an array map created with `BPF_F_MMAPABLE`, mapped read-only.
///
/// Kernel programs write to them at any time, so each word is read with a single load.
#[derive(Debug)]
pub struct MappedArray {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is only ever read, atomically.
unsafe impl Send for MappedArray {}
// SAFETY: as above.
unsafe impl Sync for MappedArray {}

impl MappedArray {
    /// Maps the first `words` 8-byte words of the array's values.
    ///
    /// # Errors
    /// The errno: `EINVAL` if the map is not an array created with `BPF_F_MMAPABLE`, or is shorter.
    pub fn new(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let bytes = words.checked_mul(size_of::<u64>()).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses the address, so no existing mapping is touched. It maps whole
        // pages of the map and refuses a length beyond them; the mapping holds a reference to the
        // map of its own.
        let start =
            unsafe { mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, map, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, words })
    }

    /// The current value of the word at `index`.
    ///
    /// # Panics
    /// `index` is not below the number of words.
    pub fn load(&self, index: usize) -> u64 {
        assert!(index < self.words, "word {index} of {}", self.words);
        // SAFETY: inside the mapping, which lives as long as `self`, and aligned, as it starts on a
        // page. Relaxed 8-byte loads from read-only memory are sound on 64-bit targets
        // (std::sync::atomic, "Atomic accesses to read-only memory"); the kernel's programs store
        // whole aligned words.
        unsafe { self.start.add(index).as_ref() }.load(Ordering::Relaxed)
    }
}

impl Drop for MappedArray {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; no reference into it outlives a call of `load`. The
        // result can only tell that the arguments are not a mapping.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.words * size_of::<u64>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd};

    fn memory(words: &[u64]) -> File {
        let fd = rustix::fs::memfd_create("words", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        rustix::io::write(&fd, &bytes).unwrap();
        File::from(fd)
    }

    #[test]
    fn a_later_write_is_seen() {
        use std::os::unix::fs::FileExt as _;
        let file = memory(&[1, 2, 3]);
        let mapped = MappedArray::new(file.as_fd(), 3).unwrap();
        assert_eq!([0, 1, 2].map(|index| mapped.load(index)), [1, 2, 3]);
        file.write_at(&9_u64.to_ne_bytes(), 8).unwrap();
        assert_eq!(mapped.load(1), 9);
    }

    #[test]
    #[should_panic(expected = "word 3 of 3")]
    fn a_word_behind_the_end_is_not_read() {
        let file = memory(&[1, 2, 3, 4]);
        MappedArray::new(file.as_fd(), 3).unwrap().load(3);
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error() {
        let null = File::open("/dev/null").unwrap();
        assert!(MappedArray::new(null.as_fd(), 1).is_err());
    }
}
