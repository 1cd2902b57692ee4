//! `tracetoll methods`.

use clap::Args;

use super::FactFormat;

const EXAMPLES: &str = "\
Example:
  tracetoll methods count";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MethodsArgs {
    /// Methods or groups of methods, separated by commas.
    #[arg(default_value = "all", value_name = "LIST")]
    pub list: String,
    /// Format of the list.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}
