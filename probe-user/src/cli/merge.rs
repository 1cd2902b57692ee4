//! `tracetoll merge`.

use std::path::PathBuf;

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Examples:
  tracetoll merge --out results/all results/first results/more
  tracetoll merge --out results/still-more results/all results/last";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Folder for the merged result.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Journals, campaign.json files, or result folders: of a run, of a campaign in VMs, or of an
    /// earlier merge.
    #[arg(required = true, value_name = "RESULT")]
    pub journals: Vec<PathBuf>,
    /// Format of the list of what was written.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
