//! `tracetoll clean`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll clean";

/// `tracetoll clean`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CleanArgs {
    /// Form of the list of what was removed.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
