//! The commands that measure more of a campaign.
//!
//! What VMs measured, other such VMs have to: this host has another
//! clock, and often another kernel.

use std::borrow::Cow;

use crate::model::{
    campaign::{Campaign, Run},
    figure::Platform,
    method::MethodId,
    trial::Part,
};

/// What one run was told for itself; each takes a value.
const OF_ONE_RUN: [&str; 7] =
    ["--on", "--parts", "--blocks", "--until-ci", "--seed", "--out", "--journal"];

/// The command that measures `N` more blocks of all that the campaign measured, so that `tracetoll
/// merge` joins them with these.
pub(super) fn more_blocks(campaign: &Campaign) -> String {
    let parts = |part| campaign.runs.iter().any(|run| run.parts.contains(&part));
    let has = [parts(Part::Overhead), parts(Part::Fidelity)];
    let blocks = match (runs_in_vms(campaign), has) {
        (true, [true, false]) => "--overhead-blocks N --fidelity-seeds 0",
        (true, [false, true]) => "--overhead-blocks 0 --fidelity-seeds N",
        (true, _) => "--overhead-blocks N --fidelity-seeds N",
        (false, [true, false]) => "--parts overhead --blocks N",
        (false, [false, true]) => "--parts fidelity --blocks N",
        (false, _) => "--blocks N",
    };
    format!("{} {blocks}", again(campaign))
}

/// The command that measures one part of the campaign.
pub(super) fn part(campaign: &Campaign, part: Part) -> String {
    format!("{} {}", again(campaign), only(campaign, part))
}

/// The command that measures the overhead of one method with guests that have one.
pub(super) fn overhead_alone(campaign: &Campaign, method: &MethodId) -> String {
    let mut words = begin(campaign);
    words.extend(["--guests", "blast", "--methods", &method.0].map(Cow::from));
    format!("{} {}", line(&words), only(campaign, Part::Overhead))
}

fn only(campaign: &Campaign, part: Part) -> &'static str {
    match (runs_in_vms(campaign), part) {
        (true, Part::Overhead) => "--fidelity-seeds 0",
        (true, Part::Fidelity) => "--overhead-blocks 0",
        (false, Part::Overhead) => "--parts overhead",
        (false, Part::Fidelity) => "--parts fidelity",
    }
}

/// `run` with all that the campaign's first run was told: what it was not told it takes as it did
/// then.
fn again(campaign: &Campaign) -> String {
    let mut words = begin(campaign);
    words.extend(shared(first_line(campaign)).into_iter().map(Cow::from));
    line(&words)
}

/// The program, and where it measures.
fn begin(campaign: &Campaign) -> Vec<Cow<'_, str>> {
    let mut words: Vec<Cow<'_, str>> = ["tracetoll", "run"].map(Cow::from).into();
    let Some(run) = campaign.runs.first().filter(|run| run.is_in_vm()) else { return words };
    // Seeds that none of them had: on the counted clock a seed's machine would only do the same
    // again.
    let seed = campaign.runs.iter().map(|run| run.seed).max().unwrap_or(0).saturating_add(1);
    let clock = if run.platform == Platform::Counted { "counted" } else { "wall" };
    words.extend(["--on", "vm", "--clock", clock].map(Cow::from));
    words.extend(["--kernel".into(), (&*campaign.design.kernel).into()]);
    words.extend(["--first-seed".into(), seed.to_string().into()]);
    words
}

fn runs_in_vms(campaign: &Campaign) -> bool {
    campaign.runs.first().is_some_and(Run::is_in_vm)
}

fn first_line(campaign: &Campaign) -> &[String] {
    campaign.runs.first().map(|run| &*run.command_line).unwrap_or_default()
}

fn line(words: &[Cow<'_, str>]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// As a shell takes it.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-./:@_=,%".contains(c);
    if word.chars().all(plain) {
        return word.into();
    }
    shlex::try_quote(word).unwrap_or_default()
}

/// The words behind `run`, without what one run was told for itself.
fn shared(told: &[String]) -> Vec<&str> {
    let mut words = told.iter().map(String::as_str).skip_while(|word| *word != "run").skip(1);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if !OF_ONE_RUN.contains(&name(word)) {
            kept.push(word);
        } else if !word.contains('=') {
            words.next();
        }
    }
    kept
}

/// An option without its value.
fn name(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fixture::Lab;

    fn campaign(line: &str, platform: Platform) -> Campaign {
        let mut lab = Lab::new();
        lab.run(platform);
        lab.design.methods.truncate(3);
        lab.runs[0].command_line = shlex::split(line).unwrap();
        lab.campaign()
    }

    #[test]
    fn all_that_makes_journals_merge_is_told_again() {
        let again = |line: &str| again(&campaign(line, Platform::Native));
        assert_eq!(
            again(
                "/usr/bin/tracetoll -v run --journal /dev/a --parts=overhead --blocks 3 --seed 1"
            ),
            "tracetoll run"
        );
        assert_eq!(
            again(
                "tracetoll run --scenario my.toml --kicks=9 --methods count --method \
                 'external:a=b c' --out d"
            ),
            "tracetoll run --scenario my.toml --kicks=9 --methods count --method 'external:a=b c'"
        );
    }

    #[test]
    fn machines_that_are_alike_measure_what_machines_measured() {
        let line = "/bin/tracetoll run --on host --journal /dev/a --parts overhead --blocks 1 \
                    --seed 1 --methods count";
        let mut measured = campaign(line, Platform::Counted);
        measured.design.kernel = "6.12.117+deb13-amd64".into();
        measured.runs[0].seed = 4;
        measured.runs[0].parts = vec![Part::Overhead, Part::Fidelity];
        let machines =
            "tracetoll run --on vm --clock counted --kernel 6.12.117+deb13-amd64 --first-seed 5";
        assert_eq!(
            more_blocks(&measured),
            format!("{machines} --methods count --overhead-blocks N --fidelity-seeds N")
        );
        assert_eq!(
            part(&measured, Part::Overhead),
            format!("{machines} --methods count --fidelity-seeds 0")
        );
        assert_eq!(
            part(&measured, Part::Fidelity),
            format!("{machines} --methods count --overhead-blocks 0")
        );
        assert_eq!(
            overhead_alone(&measured, &MethodId("external:a b".into())),
            format!("{machines} --guests blast --methods 'external:a b' --fidelity-seeds 0")
        );
        measured.runs[0].parts = vec![Part::Overhead];
        assert!(more_blocks(&measured).ends_with("--overhead-blocks N --fidelity-seeds 0"));
    }

    #[test]
    fn a_host_measures_blocks_and_parts() {
        let mut measured = campaign("tracetoll run --methods count --blocks 3", Platform::Native);
        measured.runs[0].parts = vec![Part::Overhead, Part::Fidelity];
        assert_eq!(more_blocks(&measured), "tracetoll run --methods count --blocks N");
        assert_eq!(
            part(&measured, Part::Overhead),
            "tracetoll run --methods count --parts overhead"
        );
        measured.runs[0].parts = vec![Part::Fidelity];
        assert!(more_blocks(&measured).ends_with("--parts fidelity --blocks N"));
    }
}
