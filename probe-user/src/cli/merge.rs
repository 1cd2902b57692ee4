//! `tracetoll merge`.

use std::path::PathBuf;

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll merge --out results/all results/first results/more";

/// `tracetoll merge`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Folder for the merged result.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Journals, or result folders: of a run, or of a campaign in VMs.
    #[arg(required = true, value_name = "JOURNAL")]
    pub journals: Vec<PathBuf>,
    /// Form of the list of what was written.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
