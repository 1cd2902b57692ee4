//! `tracetoll schema`.

use clap::Args;

const EXAMPLES: &str = "\
Example:
  tracetoll schema > campaign.schema.json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {}
