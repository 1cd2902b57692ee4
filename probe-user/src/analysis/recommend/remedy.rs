//! The command that measures more of a campaign.

use std::borrow::Cow;

use crate::model::campaign::Campaign;

/// What one run was told for itself; each takes a value.
const OF_ONE_RUN: [&str; 6] = ["--parts", "--blocks", "--until-ci", "--seed", "--out", "--journal"];

/// `tracetoll run` with the scenario, the methods and all else that the campaign's first run was told, so that
/// `tracetoll merge` joins the two.
pub(super) fn again(campaign: &Campaign) -> String {
    let told = campaign.runs.first().map(|run| &*run.command_line).unwrap_or_default();
    let mut words = vec!["tracetoll", "run"];
    words.extend(shared(told));
    let has = |option| words.iter().any(|word| name(word) == option);
    let scenario = (!has("--scenario")).then(|| &*campaign.design.scenario.name);
    let ids = campaign.design.methods.iter().map(|method| &method.id).filter(|id| !id.is_off());
    let ids = ids.map(|id| &*id.0).collect::<Vec<_>>().join(",");
    let methods = (!has("--methods") && !has("--method") && !ids.is_empty()).then_some(&*ids);
    words.extend(scenario.into_iter().flat_map(|name| ["--scenario", name]));
    words.extend(methods.into_iter().flat_map(|ids| ["--methods", ids]));
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// As a shell takes it.
fn quoted(word: &str) -> Cow<'_, str> {
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
    use crate::{analysis::fixture::Lab, model::figure::Platform};

    #[test]
    fn all_that_makes_journals_merge_is_told_again() {
        let again = |line: &str| {
            let mut lab = Lab::new();
            lab.run(Platform::Native);
            lab.design.methods.truncate(3);
            lab.runs[0].command_line = shlex::split(line).unwrap();
            again(&lab.campaign())
        };
        assert_eq!(
            again("/usr/bin/tracetoll -v run --journal /dev/a --parts=toll --blocks 3 --seed 1"),
            "tracetoll run --scenario test --methods bpf-fentry-count,ftrace-function"
        );
        assert_eq!(
            again(
                "tracetoll run --scenario my.toml --kicks=9 --methods count --method 'external:a=b c' --out d"
            ),
            "tracetoll run --scenario my.toml --kicks=9 --methods count --method 'external:a=b c'"
        );
    }
}
