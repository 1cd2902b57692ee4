//! Finds out whether a program failed because the file system of its `{out}` was full: the
//! program's own message does not say what helps.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probe_core::error::Error;

/// The size of a file system, and how much of it a trial's folder used, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    all: u64,
    free: u64,
    taken: u64,
}

/// The same error, with a hint if the file system of `out` is full.
pub(super) fn explain(error: Error, out: &str) -> Error {
    let folder = Path::new(out).parent().filter(|folder| folder.is_absolute());
    match (error, folder.and_then(|folder| told(folder, room(folder)?))) {
        (Error::Inconsistent(why), Some(room)) => Error::Inconsistent(format!("{why}. {room}")),
        (other, _) => other,
    }
}

fn room(folder: &Path) -> Option<Room> {
    let there = rustix::fs::statvfs(folder).ok()?;
    let files: Vec<PathBuf> =
        fs::read_dir(folder).ok()?.flatten().map(|file| file.path()).collect();
    let lengths = files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len()));
    let bytes = |blocks: u64| blocks.saturating_mul(there.f_frsize);
    // Including the blocks reserved for root, who runs this.
    Some(Room { all: bytes(there.f_blocks), free: bytes(there.f_bfree), taken: lengths.sum() })
}

fn told(folder: &Path, room: Room) -> Option<String> {
    const MIB: u64 = 1 << 20;
    let Room { all, free, taken } = room;
    // Programs write in pieces, and the last one does not fit. If the file system does not count
    // blocks, all numbers are zero.
    let is_full = all > 0 && free < MIB;
    is_full.then(|| {
        format!(
            "There is no space left for its `{{out}}`, which took {} MiB in {}, of {} MiB there. \
             Free some space there, or name a folder with more in TMPDIR",
            taken.div_ceil(MIB),
            folder.display(),
            all / MIB
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Error {
        Error::Inconsistent("tcpdump ended by itself; it said: write error".into())
    }

    #[test]
    fn who_fails_for_want_of_room_is_told_how_much_there_is() {
        let told = |all, free| told(Path::new("/tmp/x"), Room { all, free, taken: 23 << 20 });
        assert_eq!(
            told(24 << 20, 4096).unwrap(),
            "There is no space left for its `{out}`, which took 23 MiB in /tmp/x, of 24 MiB there. \
             Free some space there, or name a folder with more in TMPDIR"
        );
        assert_eq!((told(24 << 20, 2 << 20), told(0, 0)), (None, None));
    }

    #[test]
    fn other_failures_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for out in ["", "out", &folder.path().join("out").display().to_string()] {
            assert_eq!(explain(failed(), out).to_string(), failed().to_string());
        }
        assert!(matches!(explain(Error::Interrupted, "/tmp/x/out"), Error::Interrupted));
    }
}
