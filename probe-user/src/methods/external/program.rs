//! Another program as a method: started at attach, ready before enable, ended at disable.
//!
//! It observes from its own start to its own end, which is longer than the time between enable and
//! disable; in an overhead trial there is no load outside that time. It has no series, since its
//! output is not read while it runs.

use std::{collections::BTreeMap, path::Path};

use probe_core::{
    error::{Error, Result},
    model::{
        external::{Counts, External},
        method::{Class, Descriptor, Family, MethodId, SeriesUnit},
        target::Target,
    },
};
use serde_json::json;
use tempfile::TempDir;

use super::{
    pattern::{Names, Pattern, Patterns},
    room,
    running::{Rules, Running},
    tree::{Setting, Tree},
};
use crate::{
    kernel::{
        cgroup::Cgroup,
        known::Known,
        probe_events::{ProbeEvents, ProbeKind},
        program,
        run::{self, Run},
        tracefs::Tracefs,
    },
    methods::{AttachContext, Detection, Method, Session, Taps},
    sys::child::ChildPlace,
};

/// The name of the file for `{out}`. Debian's AppArmor profile lets tcpdump write files with this
/// extension.
const OUT: &str = "out.pcap";

/// Makes a command line for a target; placeholders are filled in afterwards.
pub type Words = fn(&Names, choice: &str) -> Vec<String>;

/// What a preset has in addition to what a user can define.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The id of its method.
    pub id: &'static str,
    /// The Debian package with the program.
    pub package: &'static str,
    /// Arguments that prove that it works, and trace nothing.
    pub proof: &'static [&'static str],
    /// Its standard input for that.
    pub input: &'static [u8],
    /// A one-line description.
    pub summary: &'static str,
    /// How it is attached, if there is a choice.
    pub choice: &'static str,
    /// The command line.
    pub words: Words,
    /// Whether its buffers cannot lose anything, because it counts in the kernel.
    pub loses_nothing: bool,
    /// Whether its counts should include each hit of the kprobe events that are created for it.
    pub sees_every_hit: bool,
}

/// The method.
#[derive(Debug)]
pub struct Program {
    descriptor: Descriptor,
    definition: External,
    preset: Option<Preset>,
    ready: Option<Pattern>,
    patterns: Patterns,
}

impl Program {
    /// A program defined by a user.
    ///
    /// # Errors
    /// A pattern is wrong, or argv is empty.
    pub fn new(definition: External) -> Result<Self> {
        let id = format!("external:{}", definition.name);
        let named = !definition.name.is_empty()
            && definition.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !named || definition.argv.is_empty() {
            return Err(Error::invalid(
                format!("method `{id}`"),
                "a program needs a name of letters, digits, `-`, `_` and `.`, and a command line",
                "Write external:NAME=program arguments…",
            ));
        }
        let program = definition.argv.first().map_or("", String::as_str);
        let summary = format!("{program} as a separate process");
        Self::build(definition, MethodId(id), summary, None)
    }

    /// A preset, with the id that follows from its parameters.
    ///
    /// # Errors
    /// A pattern is wrong.
    pub fn preset(mut definition: External, preset: Preset, id: MethodId) -> Result<Self> {
        definition.argv = (preset.words)(&Names::marked(), preset.choice);
        Self::build(definition, id, preset.summary.into(), Some(preset))
    }

    fn build(
        definition: External,
        id: MethodId,
        summary: String,
        preset: Option<Preset>,
    ) -> Result<Self> {
        let pattern = |field: &str, text: &Option<String>| {
            let subject = format!("{id}, {field}");
            text.as_deref().map(|text| Pattern::new(text, &subject)).transpose()
        };
        let class = match definition.counts {
            Counts::Exact => Class::Exact,
            Counts::Records => Class::Recorded,
            Counts::Frames => Class::Inferred,
        };
        let mut parameters = match serde_json::to_value(&definition) {
            Ok(serde_json::Value::Object(fields)) => fields.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        if let Some(preset) = preset.filter(|preset| !preset.choice.is_empty()) {
            parameters.insert("attach".into(), json!(preset.choice));
        }
        Ok(Self {
            ready: pattern("ready", &definition.ready)?,
            patterns: Patterns {
                count: pattern("count", &definition.count)?,
                lost: pattern("lost", &definition.lost)?,
                total: pattern("total", &definition.total)?,
            },
            descriptor: Descriptor {
                id,
                family: Family::External,
                class,
                unit: SeriesUnit::Calls { factor: 1.0 },
                durations: false,
                summary,
                parameters,
            },
            definition,
            preset,
        })
    }

    /// The command line, and that of the report. A user's own words are the same for every target.
    fn words(&self, names: &Names) -> Vec<String> {
        let words = match &self.preset {
            Some(preset) => (preset.words)(names, preset.choice),
            None => self.definition.argv.clone(),
        };
        words.iter().map(|word| names.fill(word)).collect()
    }

    /// Whether one of its command lines has a placeholder that begins like this.
    fn uses(&self, placeholder: &str) -> bool {
        let External { argv, report, .. } = &self.definition;
        let patterns = [&self.definition.count, &self.definition.lost, &self.definition.total];
        let words = argv.iter().chain(report).chain(patterns.into_iter().flatten());
        words.into_iter().any(|word| word.contains(placeholder))
    }

    fn probe(&self, target: &Target, known: &Known) -> Result<()> {
        let program = self.definition.argv.first().map_or("", String::as_str);
        let path = program::find(program).ok_or_else(|| match &self.preset {
            Some(preset) => program::missing(program, preset.package),
            None => {
                let hint = "Install it, or give its whole path";
                Error::unsupported(program, "there is no such program", hint)
            }
        })?;
        let cgroup = Cgroup::create(&run::trial_object("probe")?)?;
        // What a user's own program does with any arguments is unknown.
        if let Some(preset) = &self.preset {
            let proof = || prove(&path, preset, &cgroup);
            known.works("start", [format!("{program} {}", preset.proof.join(" "))], proof)?;
        }
        // Processes that it started and left are not waited for.
        cgroup.kill()?;
        cgroup.close()?;
        if self.uses("{event") {
            ProbeEvents::try_out(known, ProbeKind::Kprobe, &target.functions)?;
        }
        Ok(())
    }

    fn check_taps(&self, taps: Option<Taps<'_>>) -> Result<()> {
        if !self.definition.in_netns && !self.uses("{tap}") {
            return Ok(());
        }
        let refuse = |why: &str, hint: &str| {
            Err(Error::unsupported(self.descriptor.id.to_string(), why, hint))
        };
        match taps.map(|taps| taps.names.len()) {
            None => refuse("there are no TAPs", "Attach it to a testbed"),
            Some(1) => Ok(()),
            Some(n) if self.uses("{tap}") => {
                refuse(&format!("it listens on one TAP, but there are {n}"), "Use one guest")
            }
            Some(_) => Ok(()),
        }
    }

    /// A folder for `{out}`, if it is used.
    fn folder(&self, run: &Run) -> Result<Option<TempDir>> {
        self.uses("{out}").then(|| run.folder("external")).transpose()
    }
}

/// The path for `{out}`.
fn out(folder: &TempDir) -> Result<String> {
    let path = folder.path().join(OUT);
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::unsupported(
            path.display().to_string(),
            "the path of `{out}` is not UTF-8, which a command line here cannot have",
            "Name another folder in TMPDIR",
        )
    })
}

/// Runs the command that proves that a preset's program works; `{out}` is a file in a folder like
/// that of its trials.
fn prove(path: &Path, preset: &Preset, cgroup: &Cgroup) -> Result<()> {
    let writes = preset.proof.contains(&"{out}");
    let folder = writes.then(|| run::trial_folder("external")).transpose()?;
    let out = folder.as_ref().map(out).transpose()?.unwrap_or_default();
    let names = Names { out, ..Names::default() };
    let words: Vec<String> = preset.proof.iter().map(|word| names.fill(word)).collect();
    let place = ChildPlace { cgroup: Some(cgroup.entrance()?), ..ChildPlace::default() };
    program::works(path, &words, preset.input, preset.package, place)
}

impl Method for Program {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn ask(&self, target: &Target, known: &Known) -> Detection {
        self.probe(target, known).into()
    }

    fn open(&self, target: &Target, context: &AttachContext<'_>) -> Result<Box<dyn Session>> {
        self.check_taps(context.taps)?;
        let events = match self.uses("{event") {
            true => Some(ProbeEvents::create(
                &Tracefs::find()?,
                &context.run.probe_group(),
                ProbeKind::Kprobe,
                &target.functions,
            )?),
            false => None,
        };
        let instance = match self.preset.is_some() && self.uses("{run}") {
            true => Some(Tracefs::find()?.create_instance(&context.run.object("external"))?),
            false => None,
        };
        let folder = self.folder(context.run)?;
        let names = Names {
            functions: target
                .functions
                .iter()
                .map(|f| (f.name.clone(), f.module.clone()))
                .collect(),
            taps: context.taps.map(|taps| taps.names.to_vec()).unwrap_or_default(),
            out: folder.as_ref().map(out).transpose()?.unwrap_or_default(),
            run: context.run.object("external"),
            events: events
                .iter()
                .flat_map(ProbeEvents::events)
                .map(|event| format!("{}:{}", event.group, event.name))
                .collect(),
        };
        let netns = context.taps.filter(|_| self.definition.in_netns).map(|taps| taps.netns);
        let setting =
            Setting { cpus: context.cpus.to_vec(), interrupted: context.interrupted.cloned() };
        let cgroup = context.run.object("external");
        let mut tree = Tree::start(&self.words(&names), &cgroup, netns, setting)?;
        let settle = self.definition.settle;
        let ready = tree.await_ready(self.definition.timeout, |said, age| match &self.ready {
            Some(pattern) => pattern.matches(said),
            None => age >= settle,
        });
        ready.map_err(|e| room::explain(e, &names.out))?;
        let report = self.definition.report.iter().map(|word| names.fill(word)).collect();
        let rules = Rules {
            patterns: self.patterns.clone(),
            counts: self.definition.counts,
            lost_is_exact: self.definition.lost_is_exact,
            loses_nothing: self.preset.is_some_and(|preset| preset.loses_nothing),
            sees_every_hit: self.preset.is_some_and(|preset| preset.sees_every_hit),
            stop: self.definition.stop,
            exit: self.definition.exit.clone(),
            linger: self.definition.linger,
            timeout: self.definition.timeout,
            frames: target.frames(),
            cgroup: context.run.object("report"),
        };
        Ok(Box::new(Running::new(tree, instance, events, folder, names, report, rules)))
    }
}
