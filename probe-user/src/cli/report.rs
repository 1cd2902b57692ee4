//! `tracetoll report`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, ValueEnum, error::ErrorKind};

use super::Cli;

const EXAMPLES: &str = "\
Examples:
  tracetoll report results/2026-11-22T10-00-00
  tracetoll report results/2026-11-22T10-00-00 --format html --out report.html
  tracetoll report results/2026-11-22T10-00-00 --format parquet --out tables
  tracetoll report results/linux-6.1 results/linux-6.12 --format markdown";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Result folders, campaign.json files, or journals of killed runs, packed by xz or not. The
    /// methods of several results stand side by side.
    #[arg(value_name = "RESULT", required = true)]
    pub results: Vec<PathBuf>,
    /// Print all tables and remarks instead of one screen.
    #[arg(long)]
    pub full: bool,
    /// Format of the report.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Write to this path instead of standard output. For csv, parquet and svg it is a folder,
    /// which gets all tables or figures; parquet and svg need it.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Table that csv prints to standard output; trials unless given.
    #[arg(long, value_enum, conflicts_with = "out")]
    pub table: Option<ReportTable>,
}

impl ReportArgs {
    /// # Errors
    /// Arguments that contradict each other in ways that clap's attributes cannot express.
    pub fn check(&self) -> Result<(), clap::Error> {
        let Self { results, full, format, out, table } = self;
        let refuse = |kind, why: &str| Err(Cli::command().error(kind, why));
        match format {
            ReportFormat::Parquet | ReportFormat::Svg if out.is_none() => refuse(
                ErrorKind::MissingRequiredArgument,
                "parquet and svg are several files each: name a folder for them with --out",
            ),
            _ if *full && (*format != ReportFormat::Text || results.len() > 1) => refuse(
                ErrorKind::ArgumentConflict,
                "--full applies only to the text of one result; other formats and several \
                 results have no shorter form",
            ),
            ReportFormat::Csv => Ok(()),
            _ if table.is_some() => refuse(
                ErrorKind::ArgumentConflict,
                "--table selects the csv table to print: use it only with --format csv",
            ),
            _ => Ok(()),
        }
    }
}

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// One screen, or all tables; at most 100 columns.
    Text,
    /// The whole campaign.json; for several results a list of labels and campaigns.
    Json,
    /// Tables for a README or a pull request.
    Markdown,
    /// One file with the verdict, the figures and their data; needs no network.
    Html,
    /// Trials and bins as tables, and a table that describes their columns.
    Csv,
    /// The same tables with typed columns.
    Parquet,
    /// Each figure of html as a separate file.
    Svg,
}

/// A table that csv can print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportTable {
    /// One row per trial.
    Trials,
    /// One row per bin of a trial and item seen in it.
    Bins,
    /// One row per figure of a method.
    Figures,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Command;

    fn checked(words: &str) -> Result<(), String> {
        let words = ["tracetoll", "report"].into_iter().chain(words.split(' '));
        let Command::Report(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        args.check().map_err(|refused| {
            assert_eq!(refused.exit_code(), 2);
            refused.to_string()
        })
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_hint() {
        for sound in [
            "a",
            "a b",
            "a --full --out x",
            "a --format csv --table bins",
            "a --format parquet --out x",
        ] {
            checked(sound).unwrap();
        }
        for format in ["parquet", "svg"] {
            let refused = checked(&format!("a --format {format}")).unwrap_err();
            assert!(refused.contains("with --out"), "{refused}");
        }
        for longest in ["a b", "a --format html", "a --format csv"] {
            let refused = checked(&format!("{longest} --full")).unwrap_err();
            assert!(refused.contains("the text of one result"), "{refused}");
        }
        for format in ["text", "html", "json"] {
            let refused = checked(&format!("a --format {format} --table bins")).unwrap_err();
            assert!(refused.contains("--format csv"), "{refused}");
        }
    }
}
