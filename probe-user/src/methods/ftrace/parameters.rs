//! The parameters of a recording, shared by its methods.

use std::{collections::BTreeMap, time::Duration};

use probe_core::{error::Result, model::bounds};
use serde_json::{Value, json};

use crate::{kernel::arch::Architecture, methods::options::Options};

/// Whether events are overwritten when a buffer is full; the first is the default.
const OVERWRITE: &[&str] = &["true", "false"];

/// The parameters of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Size of each CPU's ring buffer; the kernel rounds up to whole pages.
    pub buffer_kib_per_cpu: u32,
    /// How often the reader wakes up.
    pub wake_ms: u32,
    /// The trace clock.
    pub clock: &'static str,
    /// Whether new events replace unread ones when a buffer is full; otherwise they are dropped.
    pub overwrite: bool,
    /// How pages come to user space.
    pub reader: PageReader,
}

/// How pages are read by user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageReader {
    /// `read(2)` of `trace_pipe_raw`: one copy.
    Read,
    /// `splice(2)` of `trace_pipe_raw` into a pipe, as trace-cmd does, and `read(2)` of the pipe.
    Splice,
    /// The ring buffer is mapped into memory (Linux 6.10).
    Mmap,
}

impl PageReader {
    /// The choices of the parameter `reader`; the first is the default.
    pub const CHOICES: &'static [&'static str] = &["read", "splice"];

    /// The reader of this name.
    pub fn named(name: &str) -> Self {
        if name == "splice" { Self::Splice } else { Self::Read }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Splice => "splice",
            Self::Mmap => "mmap",
        }
    }
}

impl Default for Parameters {
    /// The kernel's default buffer size (`TRACE_BUF_SIZE_DEFAULT`), which holds 100 ms at 500,000
    /// calls per second, and its default for full buffers.
    fn default() -> Self {
        Self {
            buffer_kib_per_cpu: 1408,
            wake_ms: 100,
            clock: "mono",
            overwrite: true,
            reader: PageReader::Read,
        }
    }
}

impl Parameters {
    /// The user's parameters, with defaults for the others.
    ///
    /// # Errors
    /// A value is wrong.
    pub fn take(options: &mut Options) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            buffer_kib_per_cpu: options.number(
                "buffer_kib_per_cpu",
                default.buffer_kib_per_cpu,
                &bounds::BUFFER_KIB,
            )?,
            wake_ms: options.number("wake_ms", default.wake_ms, &bounds::WAKE_MS)?,
            clock: options.choose("clock", Architecture::current()?.trace_clocks)?,
            overwrite: options.choose("overwrite", OVERWRITE)? == "true",
            reader: default.reader,
        })
    }

    /// How often the reader wakes up.
    pub fn wake(&self) -> Duration {
        Duration::from_millis(self.wake_ms.into())
    }

    /// The parameters for the descriptor.
    pub fn describe(&self) -> BTreeMap<String, Value> {
        let Self { buffer_kib_per_cpu, wake_ms, clock, overwrite, reader } = *self;
        BTreeMap::from([
            ("buffer_kib_per_cpu".into(), json!(buffer_kib_per_cpu)),
            ("wake_ms".into(), json!(wake_ms)),
            ("clock".into(), json!(clock)),
            ("overwrite".into(), json!(overwrite)),
            ("reader".into(), json!(reader.name())),
        ])
    }
}
