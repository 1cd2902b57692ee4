//! clap structs, converted to plain configurations; no logic.

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
    /// Say more about what happens, on stderr; twice for still more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only results and errors: no progress, notes or warnings.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// The text after the long help.
fn more() -> String {
    format!(
        "{EXAMPLES}\n\n{}\nResults go to standard output, everything else to stderr. \
         NO_COLOR is respected.",
        status::list(&Status::ALL)
    )
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a campaign: every method under the same load, block by block.
    Run(Box<RunArgs>),
    /// Merge several results into one campaign.
    Merge(MergeArgs),
    /// Print the report of a result; works without root, on any machine.
    Report(ReportArgs),
    /// Compare a new result with an older one: what is worse, better or the same; works without
    /// root, on any machine.
    Compare(CompareArgs),
    /// Say which methods of a result keep within your limits, and which of them is best; works
    /// without root, on any machine.
    Recommend(RecommendArgs),
    /// Say which targets and methods this kernel supports, and what would help with the others.
    Doctor(DoctorArgs),
    /// List the guests that already run here, as `--guests existing` would measure them.
    Guests(GuestsArgs),
    /// Remove what killed runs of tracetoll left in the kernel; what may have a living owner stays.
    Clean(CleanArgs),
    /// List every method with its parameters, whether or not this kernel supports it.
    Methods(MethodsArgs),
    /// List the built-in scenarios; `--print` prints one.
    Scenarios(ScenariosArgs),
    /// Print the JSON Schema of campaign.json.
    Schema(SchemaArgs),
    /// Print a script that completes this command line in a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands.
    Man(ManArgs),
}

/// How a command prints facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FactFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}
