//! Lines that kernel programs log with aya-log, if their object was built with logging. All
//! programs write to one ring.

use std::{
    os::fd::BorrowedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use aya::maps::MapData;
use aya_log::EbpfLogger;
use aya_obj::Map;
use probe_core::error::{Error, Result};

use super::refusal::not_made;
use crate::sys::bpf;

/// The ring in the object. aya-log finds it by this name.
pub(super) const RING: &str = "AYA_LOGS";

/// Bytes of the ring: some thousand lines between two reads.
const RING_BYTES: u32 = 1 << 20;

/// How often it is read.
const LOOK: Duration = Duration::from_millis(20);

/// Number of lines kept per trial. Further lines are counted, and still shown at `-vv`.
const KEPT: usize = 1000;

/// The ring and its reader.
#[derive(Debug)]
pub struct Log {
    ring: Arc<MapData>,
    /// `None` until a program is loaded that can log.
    reader: Mutex<Option<Reader>>,
    lines: Arc<Mutex<Lines>>,
}

/// The logged lines.
#[derive(Debug, Default)]
struct Lines {
    kept: Vec<String>,
    more: usize,
}

struct Reader(EbpfLogger<Sink>);

/// Receives the lines from aya-log.
struct Sink(Arc<Mutex<Lines>>);

impl Log {
    /// Creates the ring that the object describes.
    ///
    /// # Errors
    /// The kernel rejects it; not root.
    pub(super) fn new(mut ring: Map) -> Result<Self> {
        ring.set_max_entries(RING_BYTES);
        let ring = MapData::create(ring, RING, None)
            .map_err(|e| not_made(format!("{RING} for logs"), e))?;
        Ok(Self { ring: Arc::new(ring), reader: Mutex::default(), lines: Arc::default() })
    }

    /// The ring, for a program to write to.
    pub(super) fn ring(&self) -> Arc<MapData> {
        self.ring.clone()
    }

    /// Reads the ring from now on, if `program` uses it and nobody reads it yet: the kernel
    /// identifies a ring by its programs.
    ///
    /// # Errors
    /// The kernel gives no information about its own program or map.
    pub(super) fn read_through(&self, program: BorrowedFd<'_>) -> Result<()> {
        let mut reader = lock(&self.reader);
        if reader.is_some() {
            return Ok(());
        }
        let id = bpf::program_info(program)
            .map_err(|e| Error::call("bpf(BPF_OBJ_GET_INFO_BY_FD)", RING, e))?
            .id;
        match EbpfLogger::init_from_id_with_logger(id, Sink(self.lines.clone())) {
            Ok(found) => *reader = Some(Reader(found)),
            // A program that logs nothing.
            Err(aya_log::Error::MapNotFound) => {}
            Err(error) => return Err(Error::malformed(RING, error.to_string())),
        }
        Ok(())
    }

    /// Runs `work`, and returns the lines logged meanwhile.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        self.drain();
        drop(self.take());
        let outcome = thread::scope(|scope| {
            // Its end is dropped however the work ends.
            let (_working, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    self.drain();
                }
            });
            work()
        });
        self.drain();
        (outcome, self.take())
    }

    fn drain(&self) {
        if let Some(Reader(reader)) = &mut *lock(&self.reader) {
            reader.flush();
        }
    }

    fn take(&self) -> Vec<String> {
        let Lines { mut kept, more } = std::mem::take(&mut *lock(&self.lines));
        if more > 0 {
            kept.push(format!("{more} more lines"));
        }
        kept
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl log::Log for Sink {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = record.line().unwrap_or_default();
        let text = format!("{}:{line}: {}", record.target(), record.args());
        log::debug!(target: "bpf", "{text}");
        let mut lines = lock(&self.0);
        match lines.kept.len() < KEPT {
            true => lines.kept.push(text),
            false => lines.more += 1,
        }
    }

    fn flush(&self) {}
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use log::Log as _;

    use super::*;

    #[test]
    fn lines_beyond_those_that_are_kept_are_counted() {
        let lines = Arc::new(Mutex::new(Lines::default()));
        let sink = Sink(lines.clone());
        for call in 0..KEPT + 2 {
            sink.log(
                &log::Record::builder()
                    .target("tracetoll_bpf::x")
                    .line(Some(7))
                    .args(format_args!("call {call}"))
                    .build(),
            );
        }
        let lines = lock(&lines);
        assert_eq!((lines.kept.len(), lines.more), (KEPT, 2));
        assert_eq!(lines.kept[1], "tracetoll_bpf::x:7: call 1");
    }

    #[test]
    fn the_built_in_programs_log_nothing() {
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        // aya-log's ring, and the constants from which it reads its level and texts.
        let of_logs: Vec<_> = object
            .maps
            .keys()
            .filter(|name| *name == RING || name.starts_with(".rodata"))
            .collect();
        assert!(of_logs.is_empty(), "{of_logs:?}");
        for word in [RING, "AYA_LOG_LEVEL", "aya_log"] {
            let found = probe_ebpf::OBJECT.windows(word.len()).any(|part| part == word.as_bytes());
            assert!(!found, "{word}");
        }
    }
}
