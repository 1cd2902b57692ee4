//! Where and how a program attaches.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd},
};

use aya_obj::generated::bpf_attach_type;
use probe_core::{
    error::{Error, Result},
    model::target::{Function, Tracepoint},
};

use crate::{
    kernel::{bpf::link::Link, cpus, tracefs::Tracefs},
    sys::probe,
};

/// A place in the kernel.
#[derive(Debug, Clone)]
pub enum AttachPoint {
    /// The trampoline of the function that the program was loaded for: at its entry, or at its
    /// exit.
    Function(bpf_attach_type),
    /// A kprobe at the entry of a function, or a kretprobe.
    Kprobe {
        /// The function's address.
        address: u64,
        /// Whether it fires when the function returns.
        returns: bool,
        /// The PMU.
        pmu: KprobePmu,
    },
    /// One fprobe on the entries of many functions.
    KprobeMulti {
        /// Their addresses.
        addresses: Vec<u64>,
        /// The cookie that the program reads at each.
        cookies: Vec<u64>,
    },
    /// A tracepoint, by its own name.
    RawTracepoint(String),
    /// A tracepoint, by its id in tracefs.
    Tracepoint(u64),
}

impl AttachPoint {
    /// A kprobe on `function`, or a kretprobe.
    ///
    /// # Errors
    /// The kernel has no kprobes in perf, or the function's address is unknown.
    pub fn kprobe(function: &Function, returns: bool) -> Result<Self> {
        Ok(Self::Kprobe { address: address(function)?, returns, pmu: KprobePmu::read()? })
    }

    /// All `functions`, each with a cookie.
    ///
    /// # Errors
    /// The address of one is unknown.
    pub fn kprobe_multi(functions: &[Function], cookies: Vec<u64>) -> Result<Self> {
        let addresses = functions.iter().map(address).collect::<Result<_>>()?;
        Ok(Self::KprobeMulti { addresses, cookies })
    }

    /// `tracepoint`, as its perf event.
    ///
    /// # Errors
    /// There is none, or tracefs is missing.
    pub fn tracepoint(tracepoint: &Tracepoint) -> Result<Self> {
        Ok(Self::Tracepoint(Tracefs::find()?.tracepoint_id(tracepoint)?))
    }

    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Function(bpf_attach_type::BPF_TRACE_FEXIT) => "fexit",
            Self::Function(_) => "fentry",
            Self::Kprobe { returns: false, .. } => "kprobe",
            Self::Kprobe { returns: true, .. } => "kretprobe",
            Self::KprobeMulti { .. } => "kprobe_multi",
            Self::RawTracepoint(_) => "raw tracepoint",
            Self::Tracepoint(_) => "tracepoint",
        }
    }

    /// Whether every kernel that can skip a program here, because it is already running, also
    /// counts these skips. At other places the kernel skipped for years before it counted.
    pub fn always_counts_skips(&self) -> bool {
        // kernel/bpf/trampoline.c, `__bpf_prog_enter_recur`; kernel/trace/bpf_trace.c,
        // `__bpf_trace_run`.
        matches!(self, Self::Function(_) | Self::RawTracepoint(_))
    }

    /// Whether hits can be missed before they reach a program: by the kprobe or fprobe.
    pub fn is_probe(&self) -> bool {
        matches!(self, Self::Kprobe { .. } | Self::KprobeMulti { .. })
    }

    /// Attaches `program`; `subject` names the place in errors.
    ///
    /// # Errors
    /// The kernel has no such place, or rejects the program there.
    pub fn attach(&self, program: BorrowedFd<'_>, subject: &str) -> Result<Link> {
        match self {
            Self::Function(at) => Link::function(program, *at, subject),
            Self::Kprobe { address, returns, pmu } => {
                let config = if *returns { 1 << pmu.retprobe_bit } else { 0 };
                let event = probe::kprobe(pmu.kind, config, *address, cpus::any()?)
                    .map_err(|e| no_kprobe(subject, e))?;
                // Our descriptor is closed; the link keeps the event, and with it the kprobe.
                Link::event(program, event.as_fd(), subject)
            }
            Self::KprobeMulti { addresses, cookies } => {
                Link::functions(program, addresses, cookies, subject)
            }
            Self::RawTracepoint(name) => Link::raw_tracepoint(program, name),
            Self::Tracepoint(id) => {
                let event = probe::tracepoint(*id, cpus::any()?)
                    .map_err(|e| Error::call("perf_event_open", subject, e))?;
                Link::event(program, event.as_fd(), subject)
            }
        }
    }
}

fn address(function: &Function) -> Result<u64> {
    match function.addresses.start {
        0 => Err(Error::malformed(&function.name, "its address is unknown")),
        start => Ok(start),
    }
}

fn no_kprobe(subject: &str, source: io::Error) -> Error {
    let errno = source.raw_os_error();
    let error = Error::call("perf_event_open", format!("kprobe on {subject}"), source);
    match errno {
        Some(libc::EINVAL | libc::EILSEQ | libc::EADDRNOTAVAIL) => error.with_hint(
            "No kprobe can be set there: see kprobes/blacklist in debugfs, or choose another \
             function",
        ),
        Some(libc::EPERM | libc::EACCES) => {
            error.with_hint("Run as root, on a kernel that is not locked down")
        }
        _ => error,
    }
}

/// How perf_event_open(2) identifies kprobes: `/sys/bus/event_source/devices/kprobe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KprobePmu {
    kind: u32,
    retprobe_bit: u32,
}

impl KprobePmu {
    fn read() -> Result<Self> {
        const FOLDER: &str = "/sys/bus/event_source/devices/kprobe";
        let read = |file| {
            let path = format!("{FOLDER}/{file}");
            match fs::read_to_string(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::unsupported(
                    "BPF on kprobes",
                    format!("this kernel has no kprobes for perf ({path} is missing)"),
                    "Use a kernel built with CONFIG_KPROBE_EVENTS=y and CONFIG_PERF_EVENTS=y",
                )),
                other => other.map_err(|e| Error::file("read", path, e)),
            }
        };
        let (kind, retprobe) = (read("type")?, read("format/retprobe")?);
        Self::parse(&kind, &retprobe).ok_or_else(|| {
            Error::malformed(FOLDER, format!("type {kind:?}, retprobe {retprobe:?}"))
        })
    }

    /// Parses `8` and `config:0`.
    fn parse(kind: &str, retprobe: &str) -> Option<Self> {
        let bit = retprobe.trim().strip_prefix("config:")?.parse().ok()?;
        (bit < 64).then_some(Self { kind: kind.trim().parse().ok()?, retprobe_bit: bit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pmus_files_are_understood_or_refused() {
        let pmu = KprobePmu { kind: 8, retprobe_bit: 0 };
        assert_eq!(KprobePmu::parse("8\n", "config:0\n"), Some(pmu));
        for (kind, bit) in [("8\n", "config1:0\n"), ("8", "config:64"), ("", "config:0")] {
            assert_eq!(KprobePmu::parse(kind, bit), None, "{kind} {bit}");
        }
    }

    #[test]
    fn a_function_without_an_address_has_no_kprobe() {
        let function = Function {
            name: "handle_tx".into(),
            module: Some("vhost_net".into()),
            addresses: Default::default(),
        };
        let error = AttachPoint::kprobe_multi(&[function], vec![0]).unwrap_err().to_string();
        assert!(error.contains("handle_tx") && error.contains("address"), "{error}");
    }
}
