//! `tracetoll clean`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll clean";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CleanArgs {
    /// Also remove what tracetoll 0.1 left. Nothing tells whether its owner is alive: use this only
    /// when no tracetoll 0.1 runs on this kernel, in any container. Processes in its control groups
    /// are killed.
    #[arg(long)]
    pub old: bool,
    /// Format of the list of what was removed and what was left.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
