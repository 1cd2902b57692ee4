//! `tracetoll scenarios`.

use clap::Args;

use super::{FactFormat, Overrides};

const EXAMPLES: &str = "\
Examples:
  tracetoll scenarios
  tracetoll scenarios --print quick > mine.toml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ScenariosArgs {
    /// Print this one as TOML.
    #[arg(long, value_name = "NAME|FILE")]
    pub print: Option<String>,
    /// Overrides of the printed scenario.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Format of the list, or of the scenario.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
