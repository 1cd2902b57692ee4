//! Parse, call, print the error, exit.
//!
//! Exit status: 0 done · 1 failed, or a trial failed · 2 wrong arguments · 3 a comparison found something worse · 4 results that
//! cannot be compared · 130 ended by the user.

use std::process::ExitCode;

use clap::Parser as _;
use probe_user::{
    cli::{Cli, Command},
    commands,
    error::Error,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    env_logger::Builder::new().filter_level(level).format_timestamp(None).init();
    let done = match cli.command {
        Command::Run(args) => commands::run(&args),
        Command::Merge(args) => commands::merge(&args),
        Command::Report(args) => commands::report(&args),
        Command::Compare(args) => commands::compare(&args),
        Command::Doctor(args) => commands::doctor(&args),
        Command::Guests(args) => commands::guests(&args),
        Command::Clean => commands::clean(),
        Command::Scenarios(args) => commands::scenarios(&args),
        Command::Methods(args) => commands::methods(&args),
    };
    match done {
        Ok(code) => code,
        Err(Error::Interrupted) => {
            commands::tell(format_args!("tracetoll: interrupted; finished trials are kept"));
            ExitCode::from(130)
        }
        Err(error) => {
            commands::tell(format_args!("tracetoll: {error}"));
            ExitCode::FAILURE
        }
    }
}
