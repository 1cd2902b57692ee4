//! `tracetoll doctor`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll doctor --format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Format of the answer.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
