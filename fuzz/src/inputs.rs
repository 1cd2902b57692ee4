//! The targets for input written by people: scenarios, command lines, methods' words, journals.

use std::sync::LazyLock;

use clap::Parser as _;
use probe_core::{
    analysis::{
        compare::compare,
        journal::parse_journal,
        merge::{Source, merge},
        recommend::{Wanted, recommend},
    },
    model::campaign::{Campaign, JournalLine},
    report::{html, markdown, results, tables::Dataset, text},
};
use probe_user::{cli::Cli, methods::registry, workload::scenarios};
use serde_json::{Value, json};

/// A scenario file. If it is accepted, it must be accepted again after it was written.
pub(crate) fn scenario(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(scenario) = scenarios::parse("x.toml", &text) else { return };
    let again = toml::to_string(&scenario).expect("a scenario that can be written");
    let again = scenarios::parse("x.toml", &again).expect("what was accepted is accepted again");
    assert_eq!(scenario, again);
    for factor in [1e-3, 0.7, 1e3, 6e18, f64::MAX] {
        let mut scaled = scenario.clone();
        scaled.fidelity.scale(factor, scaled.bin);
        let _ = scenarios::check("x.toml", &scaled);
    }
}

/// A command line, one word per line. It includes durations, rates, limits and gates.
pub(crate) fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Cli::try_parse_from(std::iter::once("tracetoll").chain(text.lines()));
}

/// A method as named by a user, and a list of them.
pub(crate) fn method(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = registry::find(&text);
    let _ = registry::select(&text);
}

macro_rules! recorded {
    ($file:literal) => {
        lines(include_str!(concat!("../../tests/data/campaign/", $file)))
    };
}

/// The lines of two recorded journals.
static RECORDED: LazyLock<[Vec<Value>; 2]> =
    LazyLock::new(|| [recorded!("overhead.jsonl"), recorded!("fidelity.jsonl")]);

fn lines(journal: &str) -> Vec<Value> {
    journal.lines().map(|line| serde_json::from_str(line).expect("a recorded line")).collect()
}

/// Everything that is made from a journal. The first byte chooses between the bytes after it, and a
/// recorded journal that each three of these bytes change, so that the result is nearly always a
/// valid journal.
pub(crate) fn journal(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let read = |text: &[u8], name: &str| {
        let lines = parse_journal(text).ok()?.lines;
        Some(Source { name: name.into(), lines })
    };
    let edited = |which: usize| {
        let mut lines = RECORDED[which].clone();
        rest.chunks_exact(3).for_each(|edit| change(&mut lines, [edit[0], edit[1], edit[2]]));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        read(text.as_bytes(), "edited")
    };
    let journals = match choice % 4 {
        0 => vec![edited(0)],
        1 => vec![edited(1)],
        2 => vec![edited(0), edited(1)],
        _ => vec![read(rest, "raw")],
    };
    let Some(journals) = journals.into_iter().collect::<Option<Vec<_>>>() else { return };
    let starts =
        |journal: &Source| matches!(journal.lines.first(), Some(JournalLine::Start { .. }));
    let all_start = journals.iter().all(starts);
    if let Ok(campaign) = merge(journals) {
        assert!(all_start, "a journal without its beginning is taken");
        show(campaign);
    }
}

/// Everything that describes a campaign.
fn show(campaign: Campaign) {
    let json = serde_json::to_vec(&campaign).expect("a campaign that can be written");
    let again: Campaign = serde_json::from_slice(&json).expect("a campaign that reads back");
    let _ = (text::render(&campaign), markdown::render(&campaign), html::render(&campaign));
    let _ = html::drawings(&campaign);
    let found = recommend(&campaign, &Wanted::default());
    let _ = probe_core::report::recommend::render(&found, &campaign.runs);
    if let Ok(compared) = compare(&campaign, &again, &[]) {
        let _ = probe_core::report::compare::text(&compared);
    }
    let named = results::named(vec![("a".into(), campaign), ("b".into(), again)]);
    let _ = probe_core::report::several::text(&named);
    for table in Dataset::ALL {
        let _ = table.csv(&named);
        let _ = table.parquet(&named);
    }
}

/// Changes the value at the place given by two bytes; the third one says how.
fn change(lines: &mut [Value], [low, high, what]: [u8; 3]) {
    let mut places = 0;
    lines.iter().for_each(|line| places += count(line));
    let mut place = usize::from(u16::from_le_bytes([low, high])) % places.max(1);
    for line in lines {
        let within = count(line);
        if place < within {
            return put(at(line, &mut place), what);
        }
        place -= within;
    }
}

/// Number of values within it, including itself.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value at this position in depth-first order.
fn at<'v>(value: &'v mut Value, place: &mut usize) -> &'v mut Value {
    if *place == 0 {
        return value;
    }
    *place -= 1;
    let inner: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Array(values) => Box::new(values.iter_mut()),
        Value::Object(fields) => Box::new(fields.values_mut()),
        _ => unreachable!("counted"),
    };
    for value in inner {
        let within = count(value);
        if *place < within {
            return at(value, place);
        }
        *place -= within;
    }
    unreachable!("counted")
}

fn put(value: &mut Value, what: u8) {
    match (what % 24, &mut *value) {
        (0, Value::Array(values)) => drop(values.pop()),
        (1, Value::Array(values)) => values.extend(values.first().cloned()),
        (2, Value::Array(values)) => values.clear(),
        (3, Value::Array(values)) => values.reverse(),
        (0..=3, Value::Object(fields)) => {
            let key = fields.keys().nth(usize::from(what / 24)).cloned();
            key.and_then(|key| fields.remove(&key));
        }
        (4, _) => *value = json!(0),
        (5, _) => *value = json!(1),
        (6, _) => *value = json!(u64::MAX),
        (7, _) => *value = json!(u32::MAX),
        (8, _) => *value = json!(1_u64 << 53),
        (9, _) => *value = json!(f64::MAX),
        (10, _) => *value = json!(-1.0),
        (11, _) => *value = json!(f64::MIN_POSITIVE),
        (12, _) => *value = json!(0.5),
        (13, _) => *value = Value::Null,
        (14, _) => *value = json!(""),
        (15, _) => *value = json!("\u{1b}[31mü€\n<b>\"'&"),
        (16, _) => *value = json!("off"),
        (17, _) => *value = json!([]),
        (18, _) => *value = json!({}),
        (19, _) => *value = json!("1ns"),
        (20, _) => *value = json!(true),
        (21, _) => *value = json!(1e-300),
        (22, _) => *value = json!(i64::MAX),
        _ => *value = json!("x".repeat(300)),
    }
}
