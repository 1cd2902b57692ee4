//! A diagnosis, as text.

use std::fmt::Write as _;

use super::lines::paragraph;
use crate::model::{
    doctor::{Answer, Check, Diagnosis},
    figure::Platform,
};

/// One line per check, with a hint below what does not work. Consecutive checks with the same
/// "could not tell" share one line.
pub fn render(diagnosis: &Diagnosis) -> String {
    let Diagnosis { kernel, platform, host, targets, presets, methods, default_campaign } =
        diagnosis;
    let mut text = format!("kernel {kernel}, times are {}\n", platform_name(*platform));
    let rooms = [("host", host), ("targets", targets), ("presets", presets), ("methods", methods)];
    for (title, checks) in rooms {
        let _ = write!(text, "\n{title}\n");
        for alike in checks.chunk_by(unasked_alike) {
            match alike {
                [check] => line(&mut text, check),
                _ => unasked(&mut text, alike),
            }
        }
    }
    let verdict = if *default_campaign { "can run here" } else { "cannot run here" };
    let _ = write!(text, "\nThe default campaign {verdict}.\n");
    if !default_campaign {
        text += "`tracetoll run --on vm` runs it in a VM, which needs none of this.\n";
    }
    text
}

fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Counted => "counted instructions",
        other => other.name(),
    }
}

fn unasked_alike(one: &Check, other: &Check) -> bool {
    matches!(one.answer, Answer::Inconclusive { .. }) && one.answer == other.answer
}

/// Several checks with the same reason.
fn unasked(text: &mut String, checks: &[Check]) {
    let [Check { answer: Answer::Inconclusive { why }, .. }, ..] = checks else { return };
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let all = names.join(", ");
    *text += &paragraph("  ?    ", &format!("could not tell of {}: {why}: {all}", names.len()));
}

fn line(text: &mut String, check: &Check) {
    let name = &check.name;
    *text += &match &check.answer {
        Answer::Available { detail: None } => paragraph("  yes  ", name),
        Answer::Available { detail: Some(detail) } => {
            paragraph("  yes  ", &format!("{name}: {detail}"))
        }
        Answer::Unsupported { why, hint } => {
            paragraph("  no   ", &format!("{name}: {why}"))
                + &paragraph("       ", &format!("{hint}."))
        }
        Answer::Inconclusive { why } => {
            paragraph("  ?    ", &format!("{name}: could not tell: {why}"))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(host: Vec<Check>, methods: Vec<Check>) -> Diagnosis {
        Diagnosis {
            kernel: "6.12".into(),
            platform: Platform::Native,
            host,
            targets: Vec::new(),
            presets: Vec::new(),
            methods,
            default_campaign: false,
        }
    }

    #[test]
    fn methods_that_could_not_be_asked_share_their_reason_and_fit_a_screen() {
        let check = |n: usize| Check {
            name: format!("a-method-of-usual-{n}"),
            answer: Answer::Inconclusive { why: "the target is not there".into() },
        };
        let text = render(&diagnosis(Vec::new(), (0..40).map(check).collect()));
        let reason = "?    could not tell of 40: the target is not there: a-method";
        assert!(text.contains(reason), "{text}");
        assert!(text.contains("a-method-of-usual-39"), "{text}");
        assert!(text.lines().count() < 25, "{text}");
        // A single one is printed as usual, and so are those with other reasons.
        let other = Answer::Inconclusive { why: "it is late".into() };
        let methods = vec![check(1), Check { name: "x".into(), answer: other }];
        let text = render(&diagnosis(Vec::new(), methods));
        assert!(text.contains("x: could not tell: it is late"), "{text}");
    }

    #[test]
    fn what_does_not_work_is_followed_by_its_hint() {
        let no = Answer::Unsupported {
            why: "/dev/vhost-net is not there".into(),
            hint: "modprobe vhost_net".into(),
        };
        let host = vec![Check { name: "vhost-net".into(), answer: no }];
        let text = render(&diagnosis(host, Vec::new()));
        assert!(
            text.contains(
                "no   vhost-net: /dev/vhost-net is not there\n       modprobe vhost_net.\n"
            ),
            "{text}"
        );
        assert!(text.contains("cannot run here"), "{text}");
    }
}
