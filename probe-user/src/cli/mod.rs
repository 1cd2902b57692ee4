//! clap structs, turned into plain configurations; no logic.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod clean;
mod compare;
mod completions;
mod doctor;
mod guests;
mod man;
mod merge;
mod methods;
mod overrides;
mod recommend;
mod report;
mod run;
mod scenarios;
mod schema;
mod status;
#[cfg(test)]
mod tests;
mod vms;

use clap::{Parser, Subcommand, ValueEnum};

pub use clean::CleanArgs;
pub use compare::{CompareArgs, CompareFormat};
pub use completions::CompletionsArgs;
pub use doctor::DoctorArgs;
pub use guests::GuestsArgs;
pub use man::ManArgs;
pub use merge::MergeArgs;
pub use methods::MethodsArgs;
pub use overrides::Overrides;
pub use recommend::RecommendArgs;
pub use report::{ReportArgs, ReportFormat, ReportTable};
pub use run::{Parts, RunArgs};
pub use scenarios::ScenariosArgs;
pub use schema::SchemaArgs;
pub use status::Status;
pub use vms::{Told, VmArgs};

/// What the tool is called.
pub const NAME: &str = "tracetoll";

const EXAMPLES: &str = "\
Examples:
  tracetoll doctor
  tracetoll run --methods count --blocks 10 --out results/count
  tracetoll report results/count --format html --out report.html";

/// What a kernel tracing method costs, what it loses, and what it still lets you see.
#[derive(Debug, Parser)]
#[command(name = NAME, version, about, max_term_width = 100, after_help = EXAMPLES, after_long_help = more())]
pub struct Cli {
    /// More of what happens, on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Nothing but results and errors: no progress, no notes, no warnings.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the long help ends with.
fn more() -> String {
    format!(
        "{EXAMPLES}\n\n{}\nResults go to standard output, all else to stderr. NO_COLOR is obeyed.",
        status::list(&Status::ALL)
    )
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a campaign: every method under the same load, block by block.
    Run(Box<RunArgs>),
    /// Make one campaign of several results.
    Merge(MergeArgs),
    /// Print a result again; needs neither root nor a kernel to measure.
    Report(ReportArgs),
    /// Say what is worse, better or the same in a new result than in an older one; needs neither
    /// root nor a kernel.
    Compare(CompareArgs),
    /// Say which methods of a result keep to your limits, and which of them is best; needs neither
    /// root nor a kernel.
    Recommend(RecommendArgs),
    /// Say for every target and method whether this kernel has it, and what would help.
    Doctor(DoctorArgs),
    /// List the guests that run here already, as `--guests existing` would measure them.
    Guests(GuestsArgs),
    /// Remove what killed runs left in the kernel; nothing whose owner may live, nothing of anybody
    /// else.
    Clean(CleanArgs),
    /// List every method with its parameters, whether this kernel has it or not.
    Methods(MethodsArgs),
    /// List the built-in scenarios; `--print` prints one.
    Scenarios(ScenariosArgs),
    /// Print the JSON Schema of campaign.json.
    Schema(SchemaArgs),
    /// Print what makes a shell complete this command line.
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all commands.
    Man(ManArgs),
}

/// Form of printed facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FactFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}
