//! Private trace instances.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probe_core::{
    error::{Error, Result},
    model::cpu_list::CpuList,
};

use super::{read, refused, tracer, write};
use crate::kernel::cpus;

/// A private trace instance. [`Instance::close`] removes it and reports errors; dropping it also
/// removes it.
///
/// The kernel refuses to remove an instance while one of its files is open: owners declare their
/// readers in fields before it.
#[derive(Debug)]
pub struct Instance {
    /// `None` after it was removed.
    pub(super) folder: Option<PathBuf>,
}

/// Counters of one CPU's ring buffer, `per_cpu/cpuN/stats` (kernel/trace/trace.c,
/// `tracing_stats_read`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// Unread events in the buffer.
    pub entries: u64,
    /// Events that newer ones overwrote before they were read.
    pub overrun: u64,
    /// Events lost because an interrupt filled the whole buffer while an older event was being
    /// written.
    pub commit_overrun: u64,
    /// Events dropped because the buffer was full and overwriting is off.
    pub dropped: u64,
    /// Events read.
    pub read: u64,
}

impl CpuStats {
    /// Events that were written and can no longer be read.
    pub fn lost(&self) -> u64 {
        [self.commit_overrun, self.dropped].into_iter().fold(self.overrun, u64::saturating_add)
    }

    /// Parses the file; `None` if one of the counters is missing.
    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value =
                text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
            value.trim().parse().ok()
        };
        Some(Self {
            entries: field("entries")?,
            overrun: field("overrun")?,
            commit_overrun: field("commit overrun")?,
            dropped: field("dropped events")?,
            read: field("read events")?,
        })
    }
}

impl Instance {
    pub(super) fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir(&folder).map_err(|e| refused("create", &folder, e))?;
        let instance = Self { folder: Some(folder) };
        instance.record(false)?;
        Ok(instance)
    }

    /// Path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(file)
    }

    /// Contents of one of its files.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        read(&self.path(file))
    }

    /// Writes `value`, replacing the file's content.
    ///
    /// # Errors
    /// The kernel refused the value.
    pub fn write(&self, file: &str, value: &str) -> Result<()> {
        write(&self.path(file), value, false)
    }

    /// Appends `value` to the file's content: for files of commands, which would be emptied if
    /// opened otherwise.
    ///
    /// # Errors
    /// The kernel refused the value.
    pub fn append(&self, file: &str, value: &str) -> Result<()> {
        write(&self.path(file), value, true)
    }

    /// Turns recording into the buffers on or off; whatever is attached remains attached.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn record(&self, on: bool) -> Result<()> {
        self.write("tracing_on", if on { "1" } else { "0" })
    }

    /// Selects the clock of the timestamps, and checks that it is selected.
    ///
    /// # Errors
    /// This kernel has no such clock.
    pub fn set_clock(&self, clock: &str) -> Result<()> {
        self.write("trace_clock", clock)?;
        let now = self.read("trace_clock")?;
        if now.split_whitespace().any(|word| word == format!("[{clock}]")) {
            return Ok(());
        }
        Err(Error::Inconsistent(format!("trace_clock is `{}` after writing `{clock}`", now.trim())))
    }

    /// Sets the size of each CPU's buffer; the kernel rounds to whole pages. Returns the resulting
    /// size in KiB.
    ///
    /// # Errors
    /// The kernel refused, for example because of a lack of memory.
    pub fn set_buffer_kib(&self, kib_per_cpu: u32) -> Result<u64> {
        self.write("buffer_size_kb", &kib_per_cpu.to_string())?;
        let now = self.read("buffer_size_kb")?;
        now.trim().parse().map_err(|_| {
            let why = format!("`{}` is not a number", now.trim());
            Error::malformed(self.path("buffer_size_kb").display().to_string(), why)
        })
    }

    /// The CPUs that have a buffer: the online ones. An instance has a folder for every possible
    /// CPU, but a buffer only after that CPU first came online (kernel/trace/ring_buffer.c,
    /// `trace_rb_cpu_prepare`); before, reading returns `ENODEV`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn cpus(&self) -> Result<CpuList> {
        let folder = self.path("per_cpu");
        let entries = fs::read_dir(&folder).map_err(|e| refused("read", &folder, e))?;
        let number = |name: &str| name.strip_prefix("cpu")?.parse().ok();
        let numbers = entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?));
        Ok(CpuList::from(numbers.collect::<Vec<_>>()).among(&cpus::online()?))
    }

    /// Counters of one CPU's buffer.
    ///
    /// # Errors
    /// The file cannot be read, or lacks one of the counters.
    pub fn stats(&self, cpu: u32) -> Result<CpuStats> {
        let file = format!("per_cpu/cpu{cpu}/stats");
        let text = self.read(&file)?;
        CpuStats::parse(&text).ok_or_else(|| {
            Error::malformed(self.path(&file).display().to_string(), "a counter is missing")
        })
    }

    /// Removes the instance.
    ///
    /// # Errors
    /// The kernel refused: one of its files is still open, or one of its events is in use.
    pub fn close(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        // The tracer first: if something prevents the removal of the instance, it at least traces
        // nothing any more.
        let stopped = tracer::stop(&folder);
        fs::remove_dir(&folder).map_err(|e| refused("remove", &folder, e)).and(stopped)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(e) = self.remove() {
            log::warn!("{e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_reports_what_dropping_cannot() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("theirs");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("open"), "").unwrap();
        assert!(Instance { folder: Some(folder.clone()) }.close().is_err());
        fs::remove_file(folder.join("open")).unwrap();
        Instance { folder: Some(folder.clone()) }.close().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn the_clock_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let instance = Instance { folder: Some(root.path().into()) };
        fs::write(instance.path("trace_clock"), "").unwrap();
        // A plain file returns `mono`, not `[mono]`, like a kernel that ignored the write.
        assert!(instance.set_clock("mono").unwrap_err().to_string().contains("trace_clock"));
        fs::remove_file(root.path().join("trace_clock")).unwrap();
    }

    #[test]
    fn stats_are_read_by_name() {
        let text = "entries: 5\noverrun: 7\ncommit overrun: 1\nbytes: 99\noldest event ts:  \
                    1.5\nnow ts:  2.5\ndropped events: 3\nread events: 11\n";
        let stats = CpuStats::parse(text).unwrap();
        assert_eq!(
            stats,
            CpuStats { entries: 5, overrun: 7, commit_overrun: 1, dropped: 3, read: 11 }
        );
        assert_eq!(stats.lost(), 11);
        assert_eq!(CpuStats::parse("entries: 5\n"), None);
    }
}
