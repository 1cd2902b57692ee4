//! `tracetoll guests`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll guests --format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GuestsArgs {
    /// Format of the list.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
