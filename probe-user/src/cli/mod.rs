//! clap structs, turned into plain configurations; no logic.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    analysis::compare::Gate,
    model::{
        scenario::{GuestKind, Rate, Switch, duration_text},
        trial::Part,
    },
};

/// What a kernel tracing method costs, what it loses, and what it still lets you see.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// More of what happens, on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a campaign: every method under the same load, block by block.
    #[command(after_help = "Example: tracetoll run --methods off,bpf-fentry-count --blocks 10")]
    Run(Box<RunArgs>),
    /// Make one campaign of several journals.
    #[command(after_help = "Example: tracetoll merge --out results/all vm1.jsonl vm2.jsonl")]
    Merge(MergeArgs),
    /// Print a result again; needs neither root nor a kernel to measure.
    #[command(after_help = "Example: tracetoll report results/2026-11-22T10-00-00")]
    Report(ReportArgs),
    /// Say what is worse, better or the same in a new result than in an older one; needs neither root nor a kernel.
    #[command(
        after_help = "Exit status: 0 same or better, or nothing can be told; 3 worse; 4 not comparable; 1 failed, or a \
        gate that these results cannot decide; 2 wrong arguments.\n\n\
        Example: tracetoll compare results/base results/new --fail-if 'toll.kernel_ns_per_event>5%+10'"
    )]
    Compare(CompareArgs),
    /// Say for every target and method whether this kernel has it, and what would help.
    #[command(after_help = "Example: tracetoll doctor --format json")]
    Doctor(DoctorArgs),
    /// List the guests that run here already, as `--guests existing` would measure them.
    #[command(after_help = "Example: tracetoll guests --format json")]
    Guests(GuestsArgs),
    /// Remove what killed runs left in the kernel; nothing of a living run, nothing of anybody else.
    #[command(after_help = "Example: tracetoll clean")]
    Clean,
    /// List every method with its parameters, whether this kernel has it or not.
    #[command(after_help = "Example: tracetoll methods count")]
    Methods(MethodsArgs),
    /// List the built-in scenarios, or print one.
    #[command(after_help = "Example: tracetoll scenarios --print quick > mine.toml")]
    Scenarios(ScenariosArgs),
}

/// `tracetoll run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A built-in scenario, or a file that ends in .toml.
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub scenario: String,
    /// What of the scenario is to be otherwise.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Methods or groups of methods (default, all, ftrace, perf, bpf, capture, external, count, record, sample),
    /// separated by commas, with parameters where they are to differ: ftrace-function:clock=local. The control `off`
    /// always runs; `tracetoll methods` lists all.
    #[arg(long, default_value = "default", value_name = "LIST")]
    pub methods: String,
    /// One more method, whose words may hold commas and spaces: `external:NAME=program arguments…`; may be repeated.
    #[arg(long, value_name = "METHOD")]
    pub method: Vec<String>,
    /// What is traced: presets (`vhost`, `vhost-parts`, `kvm`, `tun`, `paper`), functions (`handle_tx`, `tun:tun_get_user`, `vhost_net:*`, `!vhost_net:vhost_net_open`) and
    /// tracepoints (`tracepoint:net:net_dev_xmit`), separated by commas.
    #[arg(long, default_value = "vhost", value_name = "LIST")]
    pub target: String,
    /// Measure the toll in lockstep also on only the first so many of the target's functions.
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub sizes: Vec<usize>,
    /// Blocks: each runs every method once, in random order. 10 unless given; with --until-ci at most so many, 100 unless
    /// given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub blocks: Option<u32>,
    /// Stop as soon as each method's cost is known within this share of the worker's CPU time under `off` (half the width
    /// of its 95 % interval), after 10 blocks or more: 1%.
    #[arg(long, value_name = "PER CENT", value_parser = share)]
    pub until_ci: Option<f64>,
    /// Which trials.
    #[arg(long, value_enum, default_value_t = Parts::Both)]
    pub parts: Parts,
    /// Seed of all that is drawn; taken from the clock unless given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder for the result.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the journal here (a virtio port, say) and make no result folder.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub journal: Option<PathBuf>,
    /// Offered load of the paced trials, instead of the scenario's.
    #[arg(long, value_name = "RATE", value_parser = |text: &str| text.parse::<Rate>())]
    pub rate: Option<Rate>,
    /// Kicks of a lockstep trial, instead of the scenario's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub kicks: Option<u64>,
    /// Length of the paced and flat trials, instead of the scenario's.
    #[arg(long, value_name = "DURATION", value_parser = duration_text::parse)]
    pub duration: Option<std::time::Duration>,
    /// Go on even if another tracer holds a function of the target; recorded in the result.
    #[arg(long)]
    pub allow_shared: bool,
}

/// What of a scenario is to be otherwise.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Kind of guest, instead of the scenario's. Only `blast` guests measure the toll.
    #[arg(long, value_enum, value_name = "KIND")]
    pub guests: Option<GuestKind>,
    /// Folder with the kernel and initramfs of `kvm` guests, as `cargo xtask image` builds it.
    #[arg(long, value_name = "DIR")]
    pub guest_image: Option<PathBuf>,
    /// What joins the guests' TAPs to the cable, instead of the scenario's.
    #[arg(long, value_enum, value_name = "KIND")]
    pub switch: Option<Switch>,
    /// Makes the sections of fidelity trials so many times as long: 0.2.
    #[arg(long, value_name = "FACTOR", value_parser = positive)]
    pub time_scale: Option<f64>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    let fits = number.is_finite() && number > 0.0;
    if fits { Ok(number) } else { Err(format!("`{text}` is not above zero")) }
}

/// `1%` as 0.01.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or(format!("`{text}` does not end in %"))?;
    Ok(positive(number.trim())? / 100.0)
}

/// Which trials a run makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Parts {
    /// Toll and fidelity.
    Both,
    /// What the methods cost.
    Toll,
    /// What they still show.
    Fidelity,
}

impl Parts {
    /// As the model has them.
    pub fn list(self) -> Vec<Part> {
        match self {
            Self::Both => vec![Part::Toll, Part::Fidelity],
            Self::Toll => vec![Part::Toll],
            Self::Fidelity => vec![Part::Fidelity],
        }
    }
}

/// `tracetoll merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folder for the merged result.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Journals, or folders that hold one.
    #[arg(required = true, value_name = "JOURNAL")]
    pub journals: Vec<PathBuf>,
}

/// `tracetoll report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A result folder, a campaign.json, or the journal of a run that was killed.
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// Form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Tables of at most 100 columns.
    Text,
    /// The whole campaign.json.
    Json,
    /// Tables for a README or a pull request.
    Markdown,
}

/// `tracetoll compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What to compare with: a result folder or a campaign.json.
    #[arg(value_name = "BASE")]
    pub base: PathBuf,
    /// What is compared: a result folder or a campaign.json.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Exit with 3 only if this figure is worse by more than LIMIT and its interval excludes zero: `5%` of the base, `12`
    /// in the figure's own unit, or `5%+12`. FIGURE is its path in the summary of a method; without METHOD, each
    /// method that has it is watched. May be repeated. A limit below what the results can resolve is refused.
    #[arg(long, value_name = "[METHOD:]FIGURE>LIMIT")]
    pub fail_if: Vec<Gate>,
    /// Form of the comparison.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub format: CompareFormat,
}

/// Form of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// Tables of at most 100 columns.
    Text,
    /// Everything, for programs.
    Json,
    /// Tables for a pull request.
    Markdown,
    /// Bencher Metric Format: the new result's figures.
    Bmf,
}

/// `tracetoll doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Form of the answer.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}

/// `tracetoll guests`.
#[derive(Debug, Args)]
pub struct GuestsArgs {
    /// Form of the list.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}

/// `tracetoll methods`.
#[derive(Debug, Args)]
pub struct MethodsArgs {
    /// Methods or groups of methods, separated by commas.
    #[arg(default_value = "all", value_name = "LIST")]
    pub list: String,
    /// Form of the list.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}

/// `tracetoll scenarios`.
#[derive(Debug, Args)]
pub struct ScenariosArgs {
    /// Print this one as TOML.
    #[arg(long, value_name = "NAME|FILE")]
    pub print: Option<String>,
    /// What of the printed one is to be otherwise.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Form of the list, or of the scenario.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}

/// Form of printed facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FactFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}
