//! What merges, and what is refused.

use super::*;
use crate::{
    analysis::{fixture::Lab, journal::journals},
    model::{
        counter::Counted,
        figure::Platform,
        observation::Series,
        trial::{Measured, Outcome, Pace, Part},
    },
};

const SATURATED: (Part, Pace) = (Part::Overhead, Pace::Saturated);

/// A journal of one run: two blocks, 3 and 7, `off` and one method each.
fn lab() -> Lab {
    let mut lab = Lab::new();
    lab.run(Platform::Counted);
    for block in [3, 7] {
        for method in ["off", "ftrace-function"] {
            lab.done(block, SATURATED, method, |_| {});
        }
    }
    lab
}

/// Journals called `a.jsonl`, `b.jsonl` and so on.
fn sources(journals: impl IntoIterator<Item = Vec<JournalLine>>) -> Vec<Source> {
    let named = |(lines, letter)| Source { name: format!("{letter}.jsonl"), lines };
    journals.into_iter().zip('a'..).map(named).collect()
}

#[test]
fn runs_are_indexed_and_blocks_numbered_anew() {
    let other = {
        let mut lab = lab();
        lab.runs[0].platform = Platform::Emulated;
        lab.runs[0].parts = vec![Part::Fidelity];
        lab.runs[0].seed = 2;
        lab.journal()
    };
    let of_overhead = {
        let mut lab = lab();
        lab.runs[0].parts = vec![Part::Overhead];
        lab.journal()
    };
    let campaign = merge(sources([of_overhead, other])).unwrap();
    let places: Vec<_> = campaign.trials.iter().map(|t| (t.run, t.block)).collect();
    let expected = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (1, 3)];
    assert_eq!(places, expected);
    assert_eq!(campaign.runs[1].platform, Platform::Emulated);
    assert_eq!(campaign.schema_version, SCHEMA_VERSION);
    assert_eq!(campaign.summary.methods.len(), campaign.design.methods.len());
}

#[test]
fn a_campaign_reads_back_as_it_was_written() {
    let campaign = merge(sources([lab().journal()])).unwrap();
    let text = serde_json::to_string(&campaign).unwrap();
    assert_eq!(serde_json::from_str::<Campaign>(&text).unwrap(), campaign);
}

#[test]
fn a_merged_campaign_merges_again_with_more() {
    let run = |seed| {
        let mut lab = lab();
        lab.runs[0].seed = seed;
        lab.journal()
    };
    let two = merge(sources([run(1), run(2)])).unwrap();
    assert_eq!(merge(sources(journals(two.clone()).unwrap())).unwrap(), two);
    let three = sources([journals(two.clone()).unwrap(), vec![run(3)]].concat());
    assert_eq!(merge(three).unwrap(), merge(sources([run(1), run(2), run(3)])).unwrap());
    // What is in it already is none.
    let copy = [journals(two.clone()).unwrap(), vec![run(2)]].concat();
    let error = merge(sources(copy)).unwrap_err().to_string();
    assert!(error.contains("c.jsonl: it is the same run as b.jsonl"), "{error}");
    let mut lost = two;
    lost.trials[0].run = 2;
    let error = journals(lost).unwrap_err().to_string();
    assert!(error.contains("a trial of run 2: of 2 runs"), "{error}");
}

#[test]
fn designs_must_agree_and_the_field_is_named() {
    let refused = |change: fn(&mut Design)| {
        let mut other = lab();
        change(&mut other.design);
        merge(sources([lab().journal(), other.journal()])).unwrap_err().to_string()
    };
    let error =
        refused(|design| design.scenario.overhead.as_mut().unwrap().closed_loop.kicks = 2000);
    assert!(
        error.contains("scenario.overhead.closed_loop.kicks is 2000, and 1000 in a.jsonl"),
        "{error}"
    );
    let error = refused(|design| design.target.functions[1].name = "tun_get_user".into());
    assert!(error.contains("target.functions.1.name is \"tun_get_user\""), "{error}");
    let error = refused(|design| design.methods.truncate(4));
    assert!(error.contains("methods is 4 entries, and 5 entries in"), "{error}");
}

#[test]
fn copies_of_a_run_are_refused() {
    let refused = |change: fn(&mut Run)| {
        let mut other = lab();
        change(&mut other.runs[0]);
        merge(sources([lab().journal(), other.journal()])).err().map(|error| error.to_string())
    };
    let later = |run: &mut Run| run.started += jiff::SignedDuration::from_secs(1);
    let same = refused(|_| {}).unwrap();
    assert!(same.contains("b.jsonl: it is the same run as a.jsonl"), "{same}");
    let again = refused(later).unwrap();
    assert!(again.contains("its seed does again"), "{again}");
    assert_eq!(refused(|run| run.seed += 1), None);
    // Whatever else was asked for: a part of it is there twice.
    let more = refused(|run| run.parts = vec![Part::Fidelity]).unwrap();
    assert!(more.contains("it is the same run as a.jsonl"), "{more}");
    let parts = |ours: Part, theirs: Part| {
        let journal = |part| {
            let mut lab = lab();
            lab.runs[0].parts = vec![part];
            lab.journal()
        };
        merge(sources([journal(ours), journal(theirs)])).is_ok()
    };
    assert!(parts(Part::Overhead, Part::Fidelity) && !parts(Part::Overhead, Part::Overhead));
    // Real time is never the same again.
    let native = |started: i64| {
        let mut lab = lab();
        lab.runs[0].platform = Platform::Native;
        lab.runs[0].started += jiff::SignedDuration::from_secs(started);
        lab.journal()
    };
    assert!(merge(sources([native(0), native(1)])).is_ok());
}

#[test]
fn runs_on_different_machines_are_no_campaign() {
    let refused = |platform, change: fn(&mut Run)| {
        let [ours, theirs] = [1, 2].map(|seed| {
            let mut lab = lab();
            lab.runs[0].platform = platform;
            lab.runs[0].seed = seed;
            if seed == 2 {
                change(&mut lab.runs[0]);
            }
            lab.journal()
        });
        merge(sources([ours, theirs])).err().map(|error| error.to_string())
    };
    let native = |change| refused(Platform::Native, change).unwrap();
    let error = native(|run| run.host.cpu = "another".into());
    assert!(
        error.contains("runs.host.cpu is another, and a CPU in a.jsonl: they are not one"),
        "{error}"
    );
    type Change = fn(&mut Run);
    let hosts: [(&str, Change); 6] = [
        ("host.cpus", |run| run.host.cpus = 8),
        ("host.kernel_version", |run| run.host.kernel_version = "7.3".into()),
        ("host.hypervisor", |run| run.host.hypervisor = Some("KVM".into())),
        ("host.kernel_command_line", |run| run.host.kernel_command_line = "quiet".into()),
        ("host.memory_kib", |run| run.host.memory_kib <<= 2),
        ("platform", |run| run.platform = Platform::Virtual),
    ];
    for (field, change) in hosts {
        let error = native(change);
        assert!(error.contains(&format!("runs.{field} is ")), "{error}");
    }
    // Instructions are counted alike on any host.
    let elsewhere = |run: &mut Run| run.host.cpu = "another".into();
    assert_eq!(refused(Platform::Counted, elsewhere), None);
    let error = refused(Platform::Counted, |run| run.host.cpus = 8).unwrap();
    assert!(error.contains("runs.host.cpus is 8, and 2 in a.jsonl"), "{error}");
}

#[test]
fn addresses_do_not_make_designs_differ() {
    // The next boot loads the module elsewhere.
    let mut other = lab();
    other.design.target.functions[0].addresses.start = 0xffff_ffff_c000_0000;
    other.runs[0].seed = 2;
    assert!(merge(sources([lab().journal(), other.journal()])).is_ok());
}

#[test]
fn journals_that_are_none_are_refused() {
    let error = |journals| merge(sources(journals)).unwrap_err().to_string();
    assert!(error(vec![]).contains("no journal"));
    assert!(error(vec![vec![]]).contains("a.jsonl: it is empty"));
    let journal = lab().journal();
    assert!(error(vec![journal[1..].to_vec()]).contains("begins with a trial"));
    let twice = [journal.clone(), journal.clone()].concat();
    assert!(error(vec![journal.clone(), twice]).contains("b.jsonl: it begins twice"));
    let mut newer = journal;
    if let JournalLine::Start { schema_version, .. } = &mut newer[0] {
        *schema_version += 1;
    }
    assert!(error(vec![newer]).contains(&format!("schema version {}", SCHEMA_VERSION + 1)));
}

#[test]
fn a_trial_that_contradicts_itself_becomes_a_failed_one() {
    let why = |change: fn(&mut Measured)| {
        let mut lab = Lab::new();
        lab.run(Platform::Native).done(0, SATURATED, "ftrace-function", change);
        let campaign = merge(sources([lab.journal()])).unwrap();
        assert_eq!(campaign.summary.failed_trials, 1);
        match &campaign.trials[0].outcome {
            Outcome::Failed { why } => why.clone(),
            Outcome::Done(measured) => panic!("{measured:?}"),
        }
    };
    let contradiction = "its data contradicts itself: ";
    // Only a counter has a series of what is not in the target.
    let text = why(|measured| {
        let function = Counted::Drops.name().into();
        measured.series = vec![Series { function, values: vec![0.0], self_share: None }];
    });
    assert!(text.contains("drops, which is not in the target"), "{text}");
    let text = why(|measured| measured.edges.truncate(1));
    assert_eq!(text, format!("{contradiction}1 bin edges for 2"));
    let text = why(|measured| measured.observation.recorded = vec![Some(1)].into());
    assert_eq!(text, format!("{contradiction}1 totals of items for 3"));
    let text = why(|measured| measured.edges.reverse());
    assert_eq!(text, format!("{contradiction}bin edges go backwards"));
}
