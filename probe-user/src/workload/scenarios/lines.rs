//! Finds a field in the text of a scenario.

use toml::{Spanned, de::DeTable, de::DeValue};

/// `, line 7 (`ring = 100`)`: the line with this byte.
pub(super) fn at(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count();
    let content = text.lines().nth(line).unwrap_or_default().trim();
    format!(", line {} (`{content}`)", line.saturating_add(1))
}

/// The same for a field by its path, `fidelity.sections[2].hogs`, or for the innermost enclosing
/// table in the text; empty if there is none.
pub(super) fn of(text: &str, path: &str) -> String {
    let Ok(table) = DeTable::parse(text) else { return String::new() };
    let mut found = None;
    let mut inner = Some(Inner::Table(table.get_ref()));
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        let Some(next) = inner.and_then(|inner| inner.step(step)) else { break };
        found = Some(next.span().start);
        inner = match next.get_ref() {
            DeValue::Table(table) => Some(Inner::Table(table)),
            DeValue::Array(values) => Some(Inner::Array(values)),
            _ => None,
        };
    }
    found.map(|byte| at(text, byte)).unwrap_or_default()
}

enum Inner<'t> {
    Table(&'t DeTable<'t>),
    Array(&'t [Spanned<DeValue<'t>>]),
}

impl<'t> Inner<'t> {
    fn step(&self, step: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        match self {
            Self::Table(table) => table.get(step),
            Self::Array(values) => values.get(step.parse::<usize>().ok()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_path() {
        let text = "a = 1\n[b]\nc = [{ d = 2 },\n  { d = 3 }]\n[[e]]\nf = 1\n[[e]]\nf = 2\n";
        for (path, place) in [
            ("a", ", line 1 (`a = 1`)"),
            ("b.c[1].d", ", line 4 (`{ d = 3 }]`)"),
            ("b.c[1].none", ", line 4 (`{ d = 3 }]`)"),
            ("b.none", ", line 2 (`[b]`)"),
            ("e[1].f", ", line 8 (`f = 2`)"),
            ("none", ""),
            ("none.a", ""),
            ("", ""),
        ] {
            assert_eq!(of(text, path), place, "{path}");
        }
        assert_eq!(at("", 7), ", line 1 (``)");
    }
}
