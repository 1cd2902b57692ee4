//! `tracetoll compare`.

use std::process::ExitCode;

use probe_core::{
    analysis::{
        compare::{self, Comparison, Incomparable},
        merge::unread,
    },
    error::Result,
    report::compare::{bmf, markdown, refusal, text},
};

use super::terminal;
use crate::{
    cli::{CompareArgs, CompareFormat, Status},
    measure::store::Stored,
};

/// Compares two results; the exit status gives the outcome.
///
/// # Errors
/// A result cannot be read, or a gate asks for something that these results cannot decide.
pub fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let (base, new) = (Stored::open(&args.base)?, Stored::open(&args.new)?);
    let compared = match versions(&base, &new)? {
        Some(differ) => Err(differ),
        None => compare::compare(&base.campaign()?, &new.campaign()?, &args.fail_if),
    };
    let comparison = match compared {
        Ok(comparison) => comparison,
        Err(differ) => {
            terminal::complain(format_args!("tracetoll: {differ}"));
            return Ok(Status::Incomparable.into());
        }
    };
    print(&comparison, args.format)?;
    for (gate, method, why) in comparison.refused() {
        let why = refusal(why);
        terminal::complain(format_args!("tracetoll: --fail-if {gate}, {method}: {why}"));
    }
    if comparison.is_worse() {
        return Ok(Status::Worse.into());
    }
    let refused = comparison.refused().next().is_some();
    Ok(if refused { Status::Failed } else { Status::Done }.into())
}

fn print(comparison: &Comparison, format: CompareFormat) -> Result<()> {
    match format {
        CompareFormat::Text => super::print(&text(comparison)),
        CompareFormat::Json => super::print_json(comparison),
        CompareFormat::Markdown => super::print(&markdown(comparison)),
        CompareFormat::Bmf => super::print_json(&bmf::metrics(comparison)),
    }
}

/// Whether the results have different schema versions, one of which cannot be read.
fn versions(base: &Stored, new: &Stored) -> Result<Option<Incomparable>> {
    let (base, new) = (base.schema_version()?, new.schema_version()?);
    let unread = |version: &u32| unread(*version).is_some();
    let differ = base.zip(new).filter(|(base, new)| base != new && (unread(base) || unread(new)));
    Ok(differ.map(|(base, new)| Incomparable {
        field: "schema_version".into(),
        base: base.to_string(),
        new: new.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser as _;
    use probe_core::{
        analysis::fixture::Lab,
        model::{
            campaign::Campaign,
            figure::Platform,
            trial::{Pace, Part},
            units::Nanos,
        },
    };

    use super::*;
    use crate::{
        cli::{Cli, Command},
        measure::journal,
    };

    /// Three blocks of a counter that costs about this much per kick, in a result folder.
    fn result(folder: &Path, name: &str, cost: u64, change: impl FnOnce(&mut Campaign)) -> String {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for block in 0..3 {
            for (method, cost) in [("off", 0), ("bpf-fentry-count", cost + u64::from(block))] {
                lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                });
            }
        }
        let mut campaign = lab.campaign();
        change(&mut campaign);
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        journal::write_campaign(&folder, &campaign).unwrap();
        folder.display().to_string()
    }

    fn status(words: &[&str]) -> ExitCode {
        let words = ["tracetoll", "compare"].iter().chain(words);
        let Command::Compare(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        compare(&args).unwrap()
    }

    #[test]
    fn the_exit_status_tells_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let result = |name, cost| result(folder.path(), name, cost, |_| {});
        let (base, worse) = (result("base", 400), result("worse", 450));
        for format in ["text", "json", "markdown", "bmf"] {
            assert_eq!(status(&[&base, &base, "--format", format]), ExitCode::SUCCESS);
            assert_eq!(status(&[&base, &worse, "--format", format]), ExitCode::from(3));
        }
        assert_eq!(status(&[&worse, &base]), ExitCode::SUCCESS);
        let gated = |gate| status(&[&base, &worse, "--fail-if", gate]);
        assert_eq!(gated("overhead.kernel_ns_per_event>5%"), ExitCode::from(3));
        assert_eq!(gated("overhead.kernel_ns_per_event>20%"), ExitCode::SUCCESS);
        // Below the resolution, or undecided: neither passed nor failed.
        assert_eq!(gated("overhead.kernel_ns_per_event>1%"), ExitCode::FAILURE);
        assert_eq!(gated("overhead.no_such_figure>5%"), ExitCode::FAILURE);
        let two = [
            "--fail-if",
            "overhead.kernel_ns_per_event>1%",
            "--fail-if",
            "overhead.kernel_ns_per_event>9%",
        ];
        let both = [&[base.as_str(), worse.as_str()][..], &two[..]].concat();
        assert_eq!(status(&both), ExitCode::from(3));
    }

    #[test]
    fn results_that_cannot_be_compared_have_a_status_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let base = result(folder.path(), "base", 400, |_| {});
        let kernel = result(folder.path(), "kernel", 400, |c| c.design.kernel = "7.3.0".into());
        let schema = result(folder.path(), "schema", 400, |c| c.schema_version += 1);
        assert_eq!(status(&[&base, &kernel]), ExitCode::from(4));
        assert_eq!(status(&[&base, &schema]), ExitCode::from(4));
    }

    #[test]
    fn a_gate_that_is_none_is_a_wrong_argument() {
        let words = ["tracetoll", "compare", "a", "b", "--fail-if", "overhead.kernel_ns_per_event"];
        let refused = Cli::try_parse_from(words).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("there is no `>`"), "{refused}");
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let base = result(folder.path(), "base", 400, |_| {});
        let words = ["tracetoll", "compare", &base, &folder.path().display().to_string()]
            .map(str::to_owned);
        let Command::Compare(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("another command")
        };
        let error = compare(&args).unwrap_err().to_string();
        assert!(error.contains("has no result"), "{error}");
    }
}
