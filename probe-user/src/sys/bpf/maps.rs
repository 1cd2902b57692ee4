//! Elements of maps, and test runs of programs.
#![expect(unsafe_code, reason = "structures that the kernel reads and fills as bytes")]

use std::{io, os::fd::BorrowedFd};

use aya_obj::generated::bpf_cmd;

use super::{address, address_mut, attr::Attr, command, number};

/// BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_GET_NEXT_KEY (where `value` is the next key)
#[repr(C)]
#[derive(Default)]
struct MapElem {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// BPF_PROG_TEST_RUN
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

// SAFETY: 4- and 8-byte integers at multiples of their size, the room between them a field of its
// own.
unsafe impl Attr for MapElem {}
// SAFETY: as above; the 4-byte integers come in pairs.
unsafe impl Attr for TestRun {}

fn element(map: BorrowedFd<'_>, key: &[u8]) -> MapElem {
    MapElem { map_fd: number(map), key: address(key), ..MapElem::default() }
}

/// Reads the value at `key` into `value`, which must have the length of the map's values: for a
/// per-CPU map, eight bytes times the number of possible CPUs for values of up to eight bytes.
///
/// # Errors
/// The errno; `ENOENT` if there is none.
pub fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    let mut attr = MapElem { value: address_mut(value), ..element(map, key) };
    command(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr).map(drop)
}

/// Sets the value at `key`; both must have the lengths of the map.
///
/// # Errors
/// The errno.
pub fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> io::Result<()> {
    let mut attr = MapElem { value: address(value), ..element(map, key) };
    command(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Reads a map's first key into `key`, which must have the length of its keys; returns false if the
/// map is empty.
///
/// # Errors
/// Any errno but `ENOENT`, which is the answer "empty".
pub fn first_key(map: BorrowedFd<'_>, key: &mut [u8]) -> io::Result<bool> {
    some_key(MapElem { map_fd: number(map), value: address_mut(key), ..MapElem::default() })
}

/// Number of keys of `N` bytes in a map that nobody is changing.
///
/// # Errors
/// Any errno but `ENOENT`, which ends the walk.
pub fn count_keys<const N: usize>(map: BorrowedFd<'_>) -> io::Result<u64> {
    let (mut key, mut count) = ([0; N], 0);
    let mut found = first_key(map, &mut key)?;
    while found {
        count += 1;
        let mut next = [0; N];
        found = some_key(MapElem { value: address_mut(&mut next), ..element(map, &key) })?;
        key = next;
    }
    Ok(count)
}

fn some_key(mut attr: MapElem) -> io::Result<bool> {
    match command(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the kernel call its test functions, `bpf_fentry_test1` and so on, once each. The tracing
/// program is only used for the command, and does not run unless it is attached to one of them
/// (net/bpf/test_run.c, `bpf_prog_test_run_tracing`).
///
/// # Errors
/// The errno.
pub fn call_test_functions(program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = TestRun { prog_fd: number(program), ..TestRun::default() };
    command(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;
    use std::{fs::File, os::fd::AsFd as _};

    #[test]
    fn sizes_have_no_room_for_padding() {
        assert_eq!(size_of::<MapElem>(), 2 * 4 + 3 * 8);
        assert_eq!(size_of::<TestRun>(), 8 * 4 + 4 * 8);
    }

    #[test]
    fn enoent_means_an_empty_map_and_nothing_else_does() {
        let file = File::open("/dev/null").unwrap();
        let script = Script::install([0, -i64::from(libc::ENOENT), -i64::from(libc::EPERM)]);
        assert!(first_key(file.as_fd(), &mut [0; 8]).unwrap());
        assert!(!first_key(file.as_fd(), &mut [0; 8]).unwrap());
        assert!(first_key(file.as_fd(), &mut [0; 8]).is_err());
        drop(script);
        let script = Script::install([0, 0, 0, -i64::from(libc::ENOENT), 0]);
        assert_eq!(count_keys::<8>(file.as_fd()).unwrap(), 3);
        assert_eq!(script.remaining(), 1);
        drop(script);
    }
}
