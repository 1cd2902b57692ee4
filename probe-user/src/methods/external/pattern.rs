//! Placeholders in command lines, and patterns for their output: pure functions of text.

use regex::Regex;

use probe_core::error::{Error, Result};

/// Placeholder for the name of a function, in words and patterns.
const FUNCTION: &str = "{function}";

/// Placeholder for the kprobe event of that function, `group:name`.
const EVENT: &str = "{event}";

/// A function of the target, with the names that programs may use for it.
#[derive(Debug, Clone, Copy)]
pub struct Traced<'a> {
    /// Its name.
    pub function: &'a str,
    /// Its kprobe event, if one was created.
    pub event: Option<&'a str>,
}

/// The values of placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The target's functions with their modules.
    pub functions: Vec<(String, Option<String>)>,
    /// The guests' TAPs.
    pub taps: Vec<String>,
    /// The path of a private file.
    pub out: String,
    /// A name with the run's tag.
    pub run: String,
    /// The functions' kprobe events, `group:name`.
    pub events: Vec<String>,
}

impl Names {
    /// Every name as its own placeholder: the command line before there is a target.
    pub fn marked() -> Self {
        let mark = |name: &str| format!("{{{name}}}");
        Self {
            functions: vec![(mark("function"), Some(mark("module")))],
            taps: vec![mark("tap")],
            out: mark("out"),
            run: mark("run"),
            events: vec![mark("event")],
        }
    }

    /// The functions, each with its event.
    pub fn traced(&self) -> impl Iterator<Item = Traced<'_>> {
        let events = self.events.iter().map(|event| Some(event.as_str()));
        let functions = self.functions.iter().map(|(name, _)| name.as_str());
        let events = events.chain(std::iter::repeat(None));
        functions.zip(events).map(|(function, event)| Traced { function, event })
    }

    /// Replaces the placeholders in `word`. All other braces remain: many languages use them.
    pub fn fill(&self, word: &str) -> String {
        let first = self.functions.first();
        let name = first.map_or("", |(name, _)| name);
        let module = first.and_then(|(_, module)| module.as_deref()).unwrap_or_default();
        let names: Vec<&str> = self.functions.iter().map(|(name, _)| name.as_str()).collect();
        let stand_in = |list: &[String]| list.first().cloned().unwrap_or_default();
        [
            (FUNCTION, name.to_owned()),
            ("{functions}", names.join(",")),
            ("{module}", module.to_owned()),
            ("{tap}", stand_in(&self.taps)),
            ("{out}", self.out.clone()),
            ("{run}", self.run.clone()),
            (EVENT, stand_in(&self.events)),
            ("{events}", self.events.join(",")),
        ]
        .into_iter()
        .fold(word.to_owned(), |word, (placeholder, value)| word.replace(placeholder, &value))
    }
}

/// Finds numbers in a program's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `subject` names it in errors.
    ///
    /// # Errors
    /// It is not a regular expression, or has more than one group.
    pub fn new(text: &str, subject: &str) -> Result<Self> {
        let refuse = |why: String| {
            let hint = "Write a regular expression of the crate regex, with at most one group";
            Err(Error::invalid(subject, why, hint))
        };
        match compile(text, None) {
            Err(e) => refuse(e.to_string()),
            Ok(regex) if regex.captures_len() > 2 => {
                refuse(format!("`{text}` has {} groups", regex.captures_len().saturating_sub(1)))
            }
            Ok(_) => Ok(Self(text.into())),
        }
    }

    /// Whether it refers to each function by name.
    pub fn is_per_function(&self) -> bool {
        [FUNCTION, EVENT].iter().any(|name| self.0.contains(name))
    }

    /// Whether it occurs in `text`.
    pub fn matches(&self, text: &str) -> bool {
        compile(&self.0, None).is_ok_and(|regex| regex.is_match(text))
    }

    /// The sum of what its group captured (an empty group counts as zero); `None` if it does not
    /// match or captured something other than a number. Without a group, the number of matches.
    pub fn sum(&self, text: &str, traced: Option<Traced<'_>>) -> Option<u64> {
        let regex = compile(&self.0, traced).ok()?;
        let has_group = regex.captures_len() == 2;
        let mut sum = if has_group { None } else { Some(0) };
        for found in regex.captures_iter(text) {
            let value = match found.get(1) {
                Some(digits) => digits.as_str().replace(',', "").parse().ok()?,
                None => u64::from(!has_group),
            };
            sum = Some(sum.unwrap_or(0_u64).saturating_add(value));
        }
        sum
    }
}

/// Characters that are not allowed in identifiers match any character: programs write `_` for the
/// `.` in `f.isra.0`.
fn compile(text: &str, traced: Option<Traced<'_>>) -> std::result::Result<Regex, regex::Error> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' };
    let name: String = traced.map_or("f", |t| t.function).chars().map(plain).collect();
    // Without an event, a character that no program prints.
    let event = traced.and_then(|t| t.event).unwrap_or("\0");
    Regex::new(&text.replace(FUNCTION, &name).replace(EVENT, &regex::escape(event)))
}

/// The patterns for numbers in a program's output.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    pub(super) count: Option<Pattern>,
    pub(super) lost: Option<Pattern>,
    pub(super) total: Option<Pattern>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        let names = Names {
            functions: vec![("tx".into(), Some("vhost".into())), ("rx".into(), None)],
            taps: vec!["tap0".into()],
            out: "/tmp/x".into(),
            ..Names::default()
        };
        assert_eq!(
            names.fill("kfunc:{module}:{function} { @ = count(); }"),
            "kfunc:vhost:tx { @ = count(); }"
        );
        assert_eq!(names.fill("{functions} {tap} {out} {else}"), "tx,rx tap0 /tmp/x {else}");
    }

    #[test]
    fn numbers_are_summed_over_matches() {
        let traced = Traced { function: "f.isra.0", event: Some("g:f_isra_1_0") };
        let sum = |pattern, text| Pattern::new(pattern, "x").unwrap().sum(text, Some(traced));
        assert_eq!(sum(r"(?m)^{event} (\d+)$", "g:f_isra_1_0 1\ng:f_isra_1_01 2"), Some(1));
        assert_eq!(sum(r"(?m)^(\d+) hits", "3 hits\n1,004 calls\n5 hits"), Some(8));
        assert_eq!(sum(r"(?m)^{function} \d+$", "f_isra_0 1\nf_isra_0 2\ng 3"), Some(2));
        assert_eq!(sum(r"wrote(?: (\d+))?", "wrote"), Some(0));
        assert_eq!(sum(r"(\d+) hits", "none"), None);
        assert_eq!(sum(r"hits", "none"), Some(0));
        assert_eq!(sum(r"(\w+) hits", "many hits"), None);
    }

    #[test]
    fn functions_and_their_events_go_together() {
        let mut names = Names {
            functions: vec![("tx".into(), None), ("rx".into(), None)],
            events: vec!["g:tx_1_0".into(), "g:rx_1_1".into()],
            ..Names::default()
        };
        let events = |names: &Names| {
            let own = |t: Traced<'_>| (t.function.to_owned(), t.event.map(str::to_owned));
            names.traced().map(own).collect::<Vec<_>>()
        };
        let [tx, rx] = ["tx", "rx"].map(str::to_owned);
        let with = |name: &str| Some(name.to_owned());
        assert_eq!(
            events(&names),
            [(tx.clone(), with("g:tx_1_0")), (rx.clone(), with("g:rx_1_1"))]
        );
        names.events.clear();
        assert_eq!(events(&names), [(tx, None), (rx, None)]);
        let pattern = Pattern::new("{event}", "x").unwrap();
        assert!(pattern.is_per_function());
        assert_eq!(pattern.sum("any text", names.traced().next()), Some(0));
    }

    #[test]
    fn a_wrong_pattern_is_refused() {
        for wrong in ["(", "(a)(b)"] {
            let error = Pattern::new(wrong, "external.count").unwrap_err().to_string();
            assert!(error.starts_with("external.count"), "{error}");
        }
        assert!(Pattern::new("a", "x").unwrap().matches("cab"));
    }
}
