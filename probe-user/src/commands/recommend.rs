//! `tracetoll recommend`.

use std::process::ExitCode;

use probe_core::{
    analysis::recommend::{self, Standing, Wanted},
    error::{Error, Result},
    model::method::Gives,
    report,
};

use crate::{
    cli::{FactFormat, RecommendArgs, Status},
    measure::store,
};

/// Says which methods of a result meet the requirements; the exit status says whether any does.
///
/// # Errors
/// The result cannot be read.
pub fn recommend(args: &RecommendArgs) -> Result<ExitCode> {
    let campaign = store::read(&args.result)?;
    if campaign.design.bpf_log {
        return Err(Error::unsupported(
            args.result.display().to_string(),
            "its kernel programs logged, and each line costs time: it is not a measurement",
            "Measure without --bpf-log",
        ));
    }
    let found = recommend::recommend(&campaign, &wanted(args));
    match args.format {
        FactFormat::Text => super::print(&report::recommend::render(&found, &campaign.runs))?,
        FactFormat::Json => super::print_json(&found)?,
    }
    let status = match found.outcome {
        Standing::Qualifies => Status::Done,
        Standing::Disqualified => Status::NoneQualifies,
        Standing::CannotTell => Status::Undecided,
    };
    Ok(status.into())
}

fn wanted(args: &RecommendArgs) -> Wanted {
    Wanted {
        max_cpu_pct: args.max_cpu,
        max_throughput_loss_pct: args.max_throughput_loss,
        min_r_retained: args.min_r_retained,
        max_detection_loss: args.max_detection_loss,
        max_loss_pct: args.max_loss,
        needs: each_once(&args.need),
        calls_per_s: args.rate,
        accept_emulated: args.accept_emulated,
    }
}

/// Without duplicates, in the order in which they were first named.
fn each_once(needs: &[Gives]) -> Vec<Gives> {
    let mut once = Vec::new();
    for need in needs {
        if !once.contains(need) {
            once.push(*need);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use clap::Parser as _;
    use probe_core::{
        analysis::fixture::Lab,
        model::{
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

    /// `blocks` blocks of a counter that costs 400 ns per kick, and of two whose mean that is.
    fn result(folder: &Path, platform: Platform, blocks: u32) -> String {
        let mut lab = Lab::new();
        lab.run(platform);
        lab.design.methods.truncate(2);
        for block in 0..blocks {
            for (method, cost) in [("off", 0), ("bpf-fentry-count", 399 + 2 * u64::from(block % 2))]
            {
                lab.done(block, (Part::Overhead, Pace::ClosedLoop), method, |measured| {
                    measured.sent.kicks = Some(1000);
                    measured.cpu.workers[0] = Nanos((8000 + cost) * 1000);
                    measured.observation.recorded[0] = (method != "off").then_some(1000);
                });
                lab.done(block, (Part::Overhead, Pace::Paced), method, |measured| {
                    measured.sent.frames = 1000;
                    measured.cpu.workers[0] = Nanos(8_000_000);
                });
            }
        }
        let folder = folder.join(format!("{platform:?}-{blocks}"));
        fs::create_dir(&folder).unwrap();
        journal::write_campaign(&folder, &lab.campaign()).unwrap();
        folder.display().to_string()
    }

    fn args(words: &[&str]) -> std::result::Result<RecommendArgs, clap::Error> {
        let words = ["tracetoll", "recommend"].iter().chain(words);
        match Cli::try_parse_from(words)?.command {
            Command::Recommend(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_exit_status_tells_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let native = result(folder.path(), Platform::Native, 4);
        let status = |result: &str, limit: &str, more: &[&str]| {
            let words = [&[result, "--max-cpu", limit, "--rate", "100k/s"], more].concat();
            recommend(&args(&words).unwrap()).unwrap()
        };
        // 400 ns, 100000 times a second: 4 % of a CPU.
        for format in ["text", "json"] {
            assert_eq!(status(&native, "5%", &["--format", format]), ExitCode::SUCCESS);
        }
        assert_eq!(status(&native, "3%", &[]), ExitCode::from(5));
        assert_eq!(status(&native, "4%", &[]), ExitCode::from(6));
        assert_eq!(status(&native, "5%", &["--need", "counts,latency"]), ExitCode::from(5));
        let one = result(folder.path(), Platform::Native, 1);
        assert_eq!(status(&one, "5%", &[]), ExitCode::from(6));
        let counted = result(folder.path(), Platform::Counted, 4);
        assert_eq!(status(&counted, "5%", &[]), ExitCode::from(6));
        assert_eq!(status(&counted, "5%", &["--accept-emulated"]), ExitCode::SUCCESS);
    }

    #[test]
    fn nothing_is_recommended_by_programs_that_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut lab = Lab::new();
        lab.run(Platform::Native);
        lab.design.bpf_log = true;
        journal::write_campaign(folder.path(), &lab.campaign()).unwrap();
        let args = args(&[folder.path().to_str().unwrap(), "--max-cpu", "5%"]).unwrap();
        let refused = recommend(&args).unwrap_err().to_string();
        assert!(refused.contains("it is not a measurement"), "{refused}");
    }

    #[test]
    fn a_limit_that_is_none_is_a_wrong_argument() {
        for (words, said) in [
            (["--max-cpu", "1"], "`1` does not end in %: write 1%"),
            (["--max-cpu", "much"], "write 1%"),
            (["--max-cpu", "-7"], "write 1%"),
            (["--max-cpu", "-1%"], "`-1%` is below zero"),
            (["--max-cpu", "nan%"], "`nan` is not a number"),
            (["--max-cpu", "1e300%"], "`1e300%` is above 1000000%"),
            (["--max-cpu", "inf%"], "is above 1000000%"),
            (["--max-cpu", "1e-300%"], "is too small: write 0%, or 0.000001%"),
            (["--min-r-retained", "1e-300"], "is too small: write 0, or 0.000001 or more"),
            (["--max-throughput-loss", "101%"], "`101%` is above 100%"),
            (["--min-r-retained", "-1"], "write 0.95"),
            (["--max-loss", "-1%"], "below zero"),
            (["--max-throughput-loss", "x%"], "`x` is not a number"),
            (["--min-r-retained", "95"], "write 0.95"),
            (["--max-loss", "1"], "write 1%"),
            (["--rate", "300k"], "300k/s"),
            (["--rate", "-1/s"], "300k/s"),
            (["--need", "colour"], "timestamps"),
        ] {
            let joined = format!("{}={}", words[0], words[1]);
            for words in [&["a", &joined][..], &["a", words[0], words[1]]] {
                let refused = args(words).unwrap_err();
                assert_eq!(refused.exit_code(), 2);
                assert!(refused.to_string().contains(said), "{words:?}: {refused}");
            }
        }
        let fits =
            args(&["a", "--max-cpu", "0%", "--max-loss", "0", "--min-r-retained", "1"]).unwrap();
        assert_eq!(
            (fits.max_cpu, fits.max_loss, fits.min_r_retained),
            (Some(0.0), Some(0.0), Some(1.0))
        );
    }

    #[test]
    fn zero_has_no_sign() {
        let words = ["--max-cpu", "-0%", "--max-loss", "-0%", "--min-r-retained", "-0"];
        let zero = args(&[&["a"], &words[..]].concat()).unwrap();
        for limit in [zero.max_cpu, zero.max_loss, zero.min_r_retained] {
            assert!(limit.is_some_and(f64::is_sign_positive), "{limit:?}");
        }
    }

    #[test]
    fn a_need_that_is_named_twice_is_one() {
        let twice = args(&["a", "--need", "counts,latency,counts"]).unwrap();
        assert_eq!(wanted(&twice).needs, [Gives::Counts, Gives::Latency]);
    }
}
