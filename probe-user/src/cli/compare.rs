//! `tracetoll compare`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use probe_core::analysis::compare::Gate;

use super::{
    Status::{Done, Failed, Incomparable, Usage, Worse},
    status,
};

const EXAMPLES: &str = "\
Examples:
  tracetoll compare results/base results/new
  tracetoll compare results/base results/new --fail-if 'overhead.kernel_ns_per_event>5%+10'";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = more())]
pub struct CompareArgs {
    /// Result to compare with: a result folder or a campaign.json.
    #[arg(value_name = "BASE")]
    pub base: PathBuf,
    /// Result to judge: a result folder or a campaign.json.
    #[arg(value_name = "NEW")]
    pub new: PathBuf,
    /// Fail only if this figure is worse by more than LIMIT and its interval excludes zero. LIMIT
    /// is `5%` of the base, `12` in the figure's own unit, or `5%+12`. FIGURE is its path in a
    /// method's summary. Without METHOD, every method that has the figure is checked. May be
    /// repeated. A limit smaller than the results can resolve is refused.
    #[arg(long, value_name = "[METHOD:]FIGURE>LIMIT")]
    pub fail_if: Vec<Gate>,
    /// Format of the comparison.
    #[arg(long, value_enum, default_value_t = CompareFormat::Text)]
    pub format: CompareFormat,
}

/// The text after the long help.
fn more() -> String {
    format!("{EXAMPLES}\n\n{}", status::list(&[Done, Failed, Usage, Worse, Incomparable]))
}

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
