//! Dynamic probe events: kprobes, kretprobes and fprobes that the kernel turns into trace events.
//!
//! A probe event belongs to the whole kernel, not to an instance, and outlives its creator. Its
//! group has the run's tag, so that a [sweep](super::traces::sweep) finds it. Its name has the tag
//! too, since `kprobe_profile` lists names without their groups.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use probe_core::{
    error::{Error, Hint, Result},
    model::target::Function,
};

use super::{
    known::Known,
    run,
    targets::Traceable,
    tracefs::{Tracefs, format::Format},
};

/// Longest part of a function's name in an event's name (`MAX_EVENT_NAME_LEN` is 64, including the
/// end).
const NAME_PART: usize = 32;

/// The kind of probe of an event (Documentation/trace/kprobetrace.rst, fprobetrace.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// `p`: a kprobe at the function's entry.
    Kprobe,
    /// `r`: a kretprobe. It can track `maxactive` calls at the same time and misses more; without
    /// it, the kernel chooses.
    Kretprobe {
        /// Number of calls tracked at the same time.
        maxactive: Option<u32>,
    },
    /// `f`: an fprobe at the function's entry (`CONFIG_FPROBE_EVENTS`, Linux 6.5).
    Fprobe,
    /// `f` with `%return`: an fprobe at the function's return.
    FprobeReturn,
}

impl ProbeKind {
    /// The line that makes the event `group/name` at `place`.
    fn definition(self, event: &str, place: &str) -> String {
        match self {
            Self::Kprobe => format!("p:{event} {place}"),
            Self::Kretprobe { maxactive: Some(n) } => format!("r{n}:{event} {place}"),
            Self::Kretprobe { maxactive: None } => format!("r:{event} {place}"),
            Self::Fprobe => format!("f:{event} {place}"),
            Self::FprobeReturn => format!("f:{event} {place}%return"),
        }
    }

    /// The function's name in a definition: fprobe events do not accept modules.
    fn place(self, function: &Function) -> String {
        match &function.module {
            Some(module) if !self.is_fprobe() => format!("{module}:{}", function.name),
            _ => function.name.clone(),
        }
    }

    fn is_fprobe(self) -> bool {
        matches!(self, Self::Fprobe | Self::FprobeReturn)
    }

    /// What two probes that the kernel creates in the same way have in common.
    fn kind(self) -> &'static str {
        match self {
            Self::FprobeReturn => "fprobe event at a return",
            other => other.name(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe event",
            Self::Kretprobe { .. } => "kretprobe event",
            Self::Fprobe | Self::FprobeReturn => "fprobe event",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Kprobe | Self::Kretprobe { .. } => {
                "It needs CONFIG_KPROBE_EVENTS and a function that is not in kprobes/blacklist of \
                 debugfs"
            }
            Self::Fprobe | Self::FprobeReturn => {
                "It needs CONFIG_FPROBE_EVENTS (Linux 6.5 or later) and a function in \
                 available_filter_functions"
            }
        }
    }
}

/// An existing probe event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeEvent {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Its description; `format.id` is also its `config` for perf_event_open(2).
    pub format: Format,
}

impl ProbeEvent {
    /// Path of one of its files, relative to an instance or the root of tracefs:
    /// `events/GROUP/NAME/FILE`.
    pub fn file(&self, file: &str) -> String {
        format!("events/{}/{}/{file}", self.group, self.name)
    }
}

/// The kernel's counts of one kprobe or kretprobe event, for all its users together
/// (`kprobe_profile`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Profile {
    /// How often the probe's handler ran while the event was enabled.
    pub hits: u64,
    /// How often it could not: a kprobe was hit inside another one's handler, or a kretprobe was
    /// already tracking `maxactive` calls.
    pub missed: u64,
}

/// Probe events at functions, one each. [`ProbeEvents::close`] removes them and reports errors;
/// dropping also removes them.
///
/// The kernel refuses to remove an event that is in use: owners must disable it, or drop what uses
/// it, first.
#[derive(Debug)]
pub struct ProbeEvents {
    tracefs: Tracefs,
    probe: ProbeKind,
    events: Vec<ProbeEvent>,
}

impl ProbeEvents {
    /// Creates one event per function, in order, not yet enabled. `group` comes from
    /// [`Run::probe_group`].
    ///
    /// # Errors
    /// The kernel refused one: [`Error::Unsupported`] if it says that it has no such probe or
    /// cannot set it there. None is left behind.
    ///
    /// [`Run::probe_group`]: crate::kernel::run::Run::probe_group
    pub fn create(
        tracefs: &Tracefs,
        group: &str,
        probe: ProbeKind,
        functions: &[Function],
    ) -> Result<Self> {
        // For fprobes the kernel looks up the name in itself and in all modules.
        if probe.is_fprobe() {
            Traceable::read(tracefs)?.check_unique(functions, probe.name())?;
        }
        Self::make(tracefs, group, probe, functions)
    }

    fn make(
        tracefs: &Tracefs,
        group: &str,
        probe: ProbeKind,
        functions: &[Function],
    ) -> Result<Self> {
        let mut made = Self { tracefs: tracefs.clone(), probe, events: Vec::new() };
        for function in functions {
            made.add(group, function)?;
        }
        Ok(made)
    }

    /// Checks whether such events could be created: creates and removes them. They are never
    /// enabled, so no kprobe is armed.
    ///
    /// # Errors
    /// As [`ProbeEvents::create`] and [`ProbeEvents::close`].
    pub fn try_out(known: &Known, probe: ProbeKind, functions: &[Function]) -> Result<()> {
        if probe.is_fprobe() {
            known.traceable()?.check_unique(functions, probe.name())?;
        }
        let attempt =
            || Self::make(known.tracefs()?, &run::trial_group()?, probe, functions)?.close();
        known.works(probe.kind(), functions.iter().map(Function::listed), attempt)
    }

    fn add(&mut self, group: &str, function: &Function) -> Result<()> {
        let name = unique_name(group, &function.name);
        let event = format!("{group}/{name}");
        self.define(&event, function)?;
        let format = match self.tracefs.format(group, &name) {
            Ok(format) => format,
            Err(error) => {
                // It exists, and is not yet in the list of what dropping removes.
                let _ = self.tracefs.remove_event(group, &name);
                return Err(error);
            }
        };
        self.events.push(ProbeEvent { group: group.into(), name, format });
        Ok(())
    }

    fn define(&self, event: &str, function: &Function) -> Result<()> {
        let place = self.probe.place(function);
        let line = self.probe.definition(event, &place);
        let refused = match self.tracefs.add_event(&line) {
            Err(Error::File { source, .. }) if says_no(&source) => source,
            other => return other,
        };
        let log = self.tracefs.read_if_there("error_log").ok().flatten().unwrap_or_default();
        let why = reason(&log, &line).map_or_else(|| refused.to_string(), str::to_owned);
        let subject = format!("{} at {place}", self.probe.name());
        Err(Error::Unsupported { subject, why, hint: Hint::new(self.probe.hint()) })
    }

    /// The events, in the order of the functions.
    pub fn events(&self) -> &[ProbeEvent] {
        &self.events
    }

    /// The kernel's counts of each event, in order; `None` for fprobe events, for which no kernel
    /// so far has readable counts.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub fn profile(&self) -> Result<Vec<Option<Profile>>> {
        const FILE: &str = "kprobe_profile";
        if self.probe.is_fprobe() {
            return Ok(vec![None; self.events.len()]);
        }
        let text = self.tracefs.read(FILE)?;
        let lines: HashMap<_, _> = text.lines().filter_map(profile_line).collect();
        let of = |event: &ProbeEvent| {
            lines.get(event.name.as_str()).copied().map(Some).ok_or_else(|| {
                let path = self.tracefs.path(FILE).display().to_string();
                Error::malformed(path, format!("there is no {}", event.name))
            })
        };
        self.events.iter().map(of).collect()
    }

    /// Removes the events.
    ///
    /// # Errors
    /// The first removal that the kernel refused, for example because the event is in use; the
    /// others are still done.
    pub fn close(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        let tracefs = &self.tracefs;
        let removed = self.events.drain(..).map(|e| tracefs.remove_event(&e.group, &e.name));
        removed.fold(Ok(()), Result::and)
    }
}

impl Drop for ProbeEvents {
    fn drop(&mut self) {
        if let Err(e) = self.remove() {
            log::warn!("{e}");
        }
    }
}

/// A name for an event of `group` at `function` that no other event has: only letters, digits and
/// underscores. The tag is part of the group.
fn unique_name(group: &str, function: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = function.chars().take(NAME_PART).map(plain).collect();
    let (_, tag) = group.split_once('_').unwrap_or(("", group));
    format!("{name}_{tag}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether the kernel rejected the definition itself, rather than refused it because of the moment
/// or the caller's privileges.
fn says_no(source: &std::io::Error) -> bool {
    matches!(
        source.raw_os_error(),
        Some(
            libc::ENOENT
                | libc::EINVAL
                | libc::EILSEQ
                | libc::EOPNOTSUPP
                | libc::EADDRNOTAVAIL
                | libc::ECANCELED
                | libc::ENODEV
        )
    )
}

/// The reason in `error_log` for a command: `[   12.3] trace_kprobe: error: REASON` is above `
/// Command: LINE`.
fn reason<'a>(log: &'a str, command: &str) -> Option<&'a str> {
    let mut reason = None;
    let mut above = "";
    for line in log.lines() {
        if line.trim_start().strip_prefix("Command: ").is_some_and(|c| c.trim_end() == command) {
            reason = above.split_once(" error: ").map(|(_, text)| text.trim());
        }
        above = line;
    }
    reason.filter(|text| !text.is_empty())
}

/// `  NAME      HITS      MISSED` (kernel/trace/trace_kprobe.c, `probes_profile_seq_show`).
fn profile_line(line: &str) -> Option<(&str, Profile)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let (hits, missed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((name, Profile { hits, missed }))
}

#[cfg(test)]
mod tests {
    use probe_core::model::target::Range;

    use super::*;
    use crate::kernel::tracefs::DYNAMIC_EVENTS;

    fn function(module: Option<&str>, name: &str) -> Function {
        Function {
            name: name.into(),
            module: module.map(Into::into),
            addresses: Range { start: 0, end: 1 },
        }
    }

    #[test]
    fn definitions_name_group_event_and_module() {
        let tx = function(Some("vhost_net"), "handle_tx");
        let of = |probe: ProbeKind| probe.definition("g/e", &probe.place(&tx));
        assert_eq!(of(ProbeKind::Kprobe), "p:g/e vhost_net:handle_tx");
        assert_eq!(of(ProbeKind::Kretprobe { maxactive: None }), "r:g/e vhost_net:handle_tx");
        assert_eq!(of(ProbeKind::Kretprobe { maxactive: Some(7) }), "r7:g/e vhost_net:handle_tx");
        assert_eq!(of(ProbeKind::FprobeReturn), "f:g/e handle_tx%return");
        assert_eq!(ProbeKind::Kprobe.place(&function(None, "f")), "f");
    }

    #[test]
    fn event_names_are_identifiers_that_stand_once() {
        let long = format!("{}.constprop.0", "x".repeat(100));
        let unique = |function: &str| unique_name("tracetoll_k3f9x2b", function);
        let (first, second) = (unique(&long), unique("f.isra.0"));
        assert!(first.len() < 64 && first != unique(&long), "{first}");
        assert!(second.starts_with("f_isra_0_k3f9x2b_"), "{second}");
        assert!(first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{first}");
    }

    #[test]
    fn the_kernels_own_reason_is_found_by_its_command() {
        let log = "[   41.1] trace_kprobe: error: Failed to register probe event\n\x20 Command: \
                   p:g/e other\n           ^\n[   42.1] trace_fprobe: error: Invalid probed \
                   address or symbol\n\x20 Command: f:g/e f\n           ^\n";
        assert_eq!(reason(log, "f:g/e f"), Some("Invalid probed address or symbol"));
        assert_eq!(reason(log, "f:g/e g"), None);
    }

    #[test]
    fn a_profile_is_read_by_name() {
        let (name, profile) = profile_line("  e_1_0          12               3\n").unwrap();
        assert_eq!((name, profile), ("e_1_0", Profile { hits: 12, missed: 3 }));
        assert_eq!(profile_line("  e_1_0  12"), None);
    }

    #[test]
    fn a_failure_in_the_middle_leaves_nothing() {
        // Here no write creates an event, so the first definition's format is missing.
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(DYNAMIC_EVENTS), "").unwrap();
        let tracefs = Tracefs::at(root.path());
        let functions = [function(None, "f"), function(None, "g")];
        let error = ProbeEvents::create(&tracefs, "tracetoll_1", ProbeKind::Kprobe, &functions);
        assert!(error.unwrap_err().to_string().contains("format"));
        let written = tracefs.read(DYNAMIC_EVENTS).unwrap();
        assert!(!written.contains(" g"), "{written}");
    }
}
