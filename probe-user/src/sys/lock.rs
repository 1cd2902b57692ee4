//! Locks on single bytes of a file that belong to the open file (fcntl(2), "Open file description
//! locks").
//!
//! Neither std nor rustix has them. Unlike POSIX locks they remain when another descriptor of the
//! file is closed. Unlike flock(2) there are as many as a file has bytes, and one can be tested
//! without taking it.
#![expect(unsafe_code, reason = "fcntl(2) with a struct flock")]

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
};

/// Locks byte `place` of `file`, shared with others, until the last descriptor of this open file is
/// closed: its duplicates, also in children, hold the lock too. The file may be open for reading
/// only.
///
/// # Errors
/// The kernel refused.
pub fn hold(file: &File, place: u32) -> io::Result<()> {
    let mut lock = byte(libc::F_RDLCK, place);
    fcntl(file.as_fd(), libc::F_OFD_SETLK, &mut lock)
}

/// Whether another open file has locked byte `place`, in any process or container; takes no lock.
///
/// # Errors
/// The kernel refused.
pub fn is_held(file: &File, place: u32) -> io::Result<bool> {
    let mut lock = byte(libc::F_WRLCK, place);
    fcntl(file.as_fd(), libc::F_OFD_GETLK, &mut lock)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn byte(kind: i32, place: u32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: libc::off_t::from(place),
        l_len: 1,
        // Must be 0 for locks of this kind.
        l_pid: 0,
    }
}

fn fcntl(file: BorrowedFd<'_>, command: i32, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: both commands read and write one `struct flock` behind the pointer, which is a live,
    // exclusive reference to one; the descriptor is open for as long as the borrow lasts.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_held_until_the_last_duplicate_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let (holder, other) = (open(), open());
        hold(&holder, 41).unwrap();
        assert!(is_held(&other, 41).unwrap());
        assert!(!is_held(&other, 42).unwrap() && !is_held(&holder, 41).unwrap());
        let duplicate = holder.try_clone().unwrap();
        drop((holder, open()));
        assert!(is_held(&other, 41).unwrap(), "another descriptor's end lets go of it");
        drop(duplicate);
        assert!(!is_held(&other, 41).unwrap());
    }

    #[test]
    fn two_may_hold_the_same_byte() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(file.path()).unwrap();
        let (one, two) = (open(), open());
        hold(&one, u32::MAX).unwrap();
        hold(&two, u32::MAX).unwrap();
        drop(one);
        assert!(is_held(&open(), u32::MAX).unwrap());
    }
}
