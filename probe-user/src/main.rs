//! Parse, call, print the error, exit.
//!
//! [`Status`] has the exit statuses.

#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::string_slice, clippy::unwrap_used)
)]

use std::process::ExitCode;

use clap::Parser as _;
use probe_core::error::Error;
use probe_user::{
    cli::{Cli, Command, Status},
    commands,
    measure::guard,
};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == guard::WORD) {
        return guard::live(words);
    }
    let cli = Cli::parse();
    if let Command::Report(args) = &cli.command {
        args.check().unwrap_or_else(|refused| refused.exit());
    }
    commands::terminal::begin(cli.quiet, cli.verbose);
    commands::survive_a_files_limit();
    probe_vm::tell::through(commands::terminal::tell);
    let done = match cli.command {
        Command::Run(args) => commands::run(&args),
        Command::Merge(args) => commands::merge(&args),
        Command::Report(args) => commands::report(&args),
        Command::Compare(args) => commands::compare(&args),
        Command::Recommend(args) => commands::recommend(&args),
        Command::Doctor(args) => commands::doctor(&args),
        Command::Guests(args) => commands::guests(&args),
        Command::Clean(args) => commands::clean(&args),
        Command::Scenarios(args) => commands::scenarios(&args),
        Command::Schema(args) => commands::schema(&args),
        Command::Methods(args) => commands::methods(&args),
        Command::Completions(args) => commands::completions(&args),
        Command::Man(args) => commands::man(&args),
    };
    match done {
        Ok(code) => code,
        Err(Error::Interrupted) => {
            commands::terminal::complain(format_args!(
                "tracetoll: interrupted; finished trials are kept"
            ));
            Status::Interrupted.into()
        }
        Err(error) => {
            commands::terminal::complain(format_args!("tracetoll: {error}"));
            Status::Failed.into()
        }
    }
}
