//! Observes from outside what is traced on this kernel while something else runs.
//!
//! What the kernel remembers since it started (`touched_functions`, since Linux 6.4) and what it
//! records of each call (registered tracepoints, opened perf events) misses no moment, however
//! short. The rest is checked repeatedly. Only its own instance is opened: the kernel does not
//! remove an instance while it is open.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

const TRACEFS: &str = "/sys/kernel/tracing";
const GROUP: &str = "narrow_test";

/// Events that show what others do: `struct tracepoint` begins with its name, and a perf attr with
/// type and size, with `config` at 8 and flags at 40.
const EVENTS: [&str; 3] = [
    "p:narrow_test/registered tracepoint_probe_register name=+0(+0($arg1)):string",
    "p:narrow_test/registered_bpf tracepoint_probe_register_prio_may_exist \
     name=+0(+0($arg1)):string",
    "e:narrow_test/opened syscalls/sys_enter_perf_event_open type=+u0($attr_uptr):u32 \
     config=+u8($attr_uptr):u64 flags=+u40($attr_uptr):u64 pid=$pid:s32",
];

/// The least time between two checks. Each walks all functions of the kernel, and then leaves the
/// CPU idle for as long as it took.
const PAUSE: Duration = Duration::from_millis(30);

/// Observes until it is ended.
pub(crate) struct Watch {
    own: Own,
    touched: BTreeSet<String>,
    before: BTreeSet<String>,
    stop: Arc<AtomicBool>,
    looker: JoinHandle<Result<Looks>>,
}

/// What was traced meanwhile but not before.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Functions, as tracefs lists them.
    pub(crate) functions: BTreeSet<String>,
    /// Tracepoints with something registered.
    pub(crate) tracepoints: BTreeSet<String>,
    /// Perf events for all tasks: type, config, and whether it was opened disabled.
    pub(crate) system_wide: BTreeSet<(u32, u64, bool)>,
    /// What the top-level trace was set to do: its tracer and its events.
    pub(crate) top: BTreeSet<String>,
    /// Number of checks.
    pub(crate) looks: u64,
}

#[derive(Debug, Default)]
struct Looks {
    functions: BTreeSet<String>,
    top: BTreeSet<String>,
    looks: u64,
}

impl Watch {
    pub(crate) fn begin() -> Result<Self> {
        let own = Own::make()?;
        let (touched, before) = (touched()?, enabled()?);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let looker = thread::spawn(move || {
            let mut all = Looks::default();
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                all.look()?;
                thread::sleep(began.elapsed().max(PAUSE));
            }
            Ok(all)
        });
        Ok(Self { own, touched, before, stop, looker })
    }

    pub(crate) fn end(self) -> Result<Seen> {
        let Self { own, touched: before_touched, before, stop, looker } = self;
        stop.store(true, Ordering::Relaxed);
        let Looks { functions, top, looks } = looker.join().expect("no panic")?;
        let mut functions: BTreeSet<_> = functions.difference(&before).cloned().collect();
        functions.extend(touched()?.difference(&before_touched).cloned());
        let mut seen = Seen { functions, top, looks, ..Seen::default() };
        own.read(&mut seen)?;
        Ok(seen)
    }
}

impl Looks {
    fn look(&mut self) -> Result<()> {
        self.functions.append(&mut enabled()?);
        let read = |file: &str| fs::read_to_string(Path::new(TRACEFS).join(file));
        let tracer = read("current_tracer")?;
        if tracer.trim() != "nop" {
            self.top.insert(tracer.trim().to_owned());
        }
        self.top.extend(read("set_event")?.lines().map(str::to_owned));
        self.looks += 1;
        Ok(())
    }
}

/// Functions that are traced now.
pub(crate) fn enabled() -> Result<BTreeSet<String>> {
    functions("enabled_functions")
}

/// Functions that were ever traced; empty if the kernel has no such list.
fn touched() -> Result<BTreeSet<String>> {
    match Path::new(TRACEFS).join("touched_functions").exists() {
        true => functions("touched_functions"),
        false => Ok(BTreeSet::new()),
    }
}

/// The functions of a list: `handle_tx [vhost_net] (1) R   ->…`.
fn functions(file: &str) -> Result<BTreeSet<String>> {
    let path = Path::new(TRACEFS).join(file);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let listed = text.lines().filter_map(|line| line.split_once(" (")).map(|(name, _)| name);
    Ok(listed.filter(|name| !name.starts_with([' ', '\t'])).map(str::to_owned).collect())
}

/// The events that record what others do, and their instance.
struct Own {
    instance: PathBuf,
}

impl Own {
    fn make() -> Result<Self> {
        let instance = Path::new(TRACEFS).join("instances").join(GROUP);
        fs::create_dir(&instance)?;
        let own = Self { instance };
        for line in EVENTS {
            append(&format!("{line}\n")).with_context(|| line.to_owned())?;
        }
        fs::write(own.instance.join("buffer_size_kb"), "1024")?;
        fs::write(own.instance.join("events").join(GROUP).join("enable"), "1")?;
        Ok(own)
    }

    /// Each event's fields: `…: opened: (syscalls.sys_enter_perf_event_open) type=1 config=9
    /// flags=5 pid=-1`.
    fn read(&self, seen: &mut Seen) -> Result<()> {
        let text = fs::read_to_string(self.instance.join("trace"))?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let field = |name: &str| {
                let value = line.split_whitespace().find_map(|word| word.strip_prefix(name));
                value.map(|value| value.trim_matches('"')).context(line.to_owned())
            };
            if line.contains(" registered") {
                seen.tracepoints.insert(field("name=")?.to_owned());
            } else if line.contains(" opened:") && field("pid=")? == "-1" {
                let disabled = field("flags=")?.parse::<u64>()? & 1 == 1;
                let event = (field("type=")?.parse()?, field("config=")?.parse()?, disabled);
                seen.system_wide.insert(event);
            }
        }
        let stats = fs::read_dir(self.instance.join("per_cpu"))?;
        for cpu in stats {
            let stats = fs::read_to_string(cpu?.path().join("stats"))?;
            ensure!(stats.contains("\noverrun: 0\n"), "its own buffer overflowed: {stats}");
        }
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.instance);
        for line in EVENTS {
            let event = line.split_once(':').and_then(|(_, rest)| rest.split_once(' '));
            let _ = append(&format!("-:{}\n", event.map_or("", |(event, _)| event)));
        }
    }
}

fn append(line: &str) -> Result<()> {
    use std::io::Write as _;
    let file = Path::new(TRACEFS).join("dynamic_events");
    fs::File::options().append(true).open(file)?.write_all(line.as_bytes())?;
    Ok(())
}
