//! `tracetoll guests`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll guests --format json";

/// `tracetoll guests`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GuestsArgs {
    /// Form of the list.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
