//! The list of methods, as text.

use std::fmt::Write as _;

use super::lines::paragraph;
use crate::model::method::{Class, Descriptor, SeriesUnit};

/// A few lines per method: what it does, what it gives, and its parameters with their values.
pub fn render(methods: &[&Descriptor], groups: &[&str]) -> String {
    let mut text = String::new();
    for method in methods {
        let Descriptor { id, family: _, class, unit, durations: _, summary, parameters } = method;
        let kind = match unit {
            SeriesUnit::Counter { .. } => "the kernel counts anyway",
            _ => kind(*class),
        };
        let _ = writeln!(text, "{id}  ({kind})");
        text += &paragraph("    ", summary);
        let gives = method.gives();
        if !gives.is_empty() {
            let names: Vec<String> = gives.iter().map(ToString::to_string).collect();
            text += &paragraph("    gives ", &names.join(", "));
        }
        if !parameters.is_empty() {
            let told: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            text += &paragraph("    ", &told.join(" "));
        }
    }
    text + "\n" + &paragraph("Groups: ", &groups.join(", "))
}

fn kind(class: Class) -> &'static str {
    match class {
        Class::Exact => "counts every call",
        Class::Recorded => "a record per call",
        Class::Sampled => "samples",
        Class::Inferred => "sees effects of calls",
        Class::Nothing => "observes nothing",
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
