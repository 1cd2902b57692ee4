//! The list of methods, for people.

use std::fmt::Write as _;

use crate::model::method::{Class, Descriptor};

/// Two lines per method: what it does, and its parameters with their values.
pub fn render(methods: &[&Descriptor], groups: &[&str]) -> String {
    let mut text = String::new();
    for method in methods {
        let Descriptor { id, family: _, class, unit: _, summary, parameters } = method;
        let _ = writeln!(text, "{id}  ({})\n    {summary}", kind(*class));
        if !parameters.is_empty() {
            let told: Vec<String> =
                parameters.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            let _ = writeln!(text, "    {}", told.join(" "));
        }
    }
    let _ = writeln!(text, "\nGroups: {}", groups.join(", "));
    text
}

fn kind(class: Class) -> &'static str {
    match class {
        Class::Exact => "counts every call",
        Class::Recorded => "a record per call",
        Class::Sampled => "samples",
        Class::Inferred => "sees what follows from calls",
        Class::Nothing => "observes nothing",
    }
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
