//! A diagnosis, for people.

use std::fmt::Write as _;

use super::lines::paragraph;
use crate::model::{
    doctor::{Answer, Check, Diagnosis},
    figure::Platform,
};

/// One line per check; the remedy under what does not work.
pub fn render(diagnosis: &Diagnosis) -> String {
    let Diagnosis { kernel, platform, host, targets, presets, methods, default_campaign } =
        diagnosis;
    let mut text = format!("kernel {kernel}, times are {}\n", platform_name(*platform));
    let rooms = [("host", host), ("targets", targets), ("presets", presets), ("methods", methods)];
    for (title, checks) in rooms {
        let _ = write!(text, "\n{title}\n");
        for check in checks {
            line(&mut text, check);
        }
    }
    let verdict = if *default_campaign { "can run here" } else { "cannot run here" };
    let _ = write!(text, "\nThe default campaign {verdict}.\n");
    if !default_campaign {
        text += "`cargo xtask run` runs it in a VM, which needs none of this.\n";
    }
    text
}

fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Native => "native",
        Platform::Emulated => "emulated",
        Platform::Counted => "counted instructions",
    }
}

fn line(text: &mut String, check: &Check) {
    let name = &check.name;
    *text += &match &check.answer {
        Answer::Available { detail: None } => paragraph("  yes  ", name),
        Answer::Available { detail: Some(detail) } => {
            paragraph("  yes  ", &format!("{name}: {detail}"))
        }
        Answer::Unsupported { why, remedy } => {
            paragraph("  no   ", &format!("{name}: {why}"))
                + &paragraph("       ", &format!("{remedy}."))
        }
        Answer::Inconclusive { why } => {
            paragraph("  ?    ", &format!("{name}: could not tell: {why}"))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_is_followed_by_its_remedy() {
        let no = Answer::Unsupported {
            why: "/dev/vhost-net is not there".into(),
            remedy: "modprobe vhost_net".into(),
        };
        let diagnosis = Diagnosis {
            kernel: "6.12".into(),
            platform: Platform::Native,
            host: vec![Check { name: "vhost-net".into(), answer: no }],
            targets: Vec::new(),
            presets: Vec::new(),
            methods: Vec::new(),
            default_campaign: false,
        };
        let text = render(&diagnosis);
        assert!(
            text.contains(
                "no   vhost-net: /dev/vhost-net is not there\n       modprobe vhost_net.\n"
            ),
            "{text}"
        );
        assert!(text.contains("cannot run here"), "{text}");
    }
}
