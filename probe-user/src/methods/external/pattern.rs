//! Words of a command line, and patterns in what it printed: pure functions of text.

use regex::Regex;

use crate::error::{Error, Result};

/// Stands for the name of a function, in words as in patterns.
pub const FUNCTION: &str = "{function}";

/// What a template's placeholders stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The target's functions with their modules.
    pub functions: Vec<(String, Option<String>)>,
    /// The guests' TAPs.
    pub taps: Vec<String>,
    /// A private file.
    pub out: String,
    /// A name with the run's tag.
    pub run: String,
    /// Kprobe events at the functions, `group:name`.
    pub events: Vec<String>,
}

impl Names {
    /// Every name as its own placeholder: what a command line looks like before there is a target.
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

    /// `word` with its placeholders filled in. Any other brace stays as it is: many languages have them.
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
            ("{event}", stand_in(&self.events)),
            ("{events}", self.events.join(",")),
        ]
        .into_iter()
        .fold(word.to_owned(), |word, (placeholder, value)| word.replace(placeholder, &value))
    }
}

/// Finds numbers in a program's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// `subject` names it in errors.
    ///
    /// # Errors
    /// It is no regular expression, or has more than one group.
    pub fn new(text: &str, subject: &str) -> Result<Self> {
        let refuse = |why: String| {
            let remedy = "Write a regular expression of the crate regex, with at most one group";
            Err(Error::invalid(subject, why, remedy))
        };
        match compile(text, None) {
            Err(e) => refuse(e.to_string()),
            Ok(regex) if regex.captures_len() > 2 => {
                refuse(format!("`{text}` has {} groups", regex.captures_len() - 1))
            }
            Ok(_) => Ok(Self(text.into())),
        }
    }

    /// Whether it asks for each function by name.
    pub fn is_per_function(&self) -> bool {
        self.0.contains(FUNCTION)
    }

    /// Whether it is found in `text`.
    pub fn matches(&self, text: &str) -> bool {
        compile(&self.0, None).is_ok_and(|regex| regex.is_match(text))
    }

    /// The sum of what its group captured (nothing counts as zero), none where it does not match or captured no number;
    /// without a group, the number of matches.
    pub fn sum(&self, text: &str, function: Option<&str>) -> Option<u64> {
        let regex = compile(&self.0, function).ok()?;
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

/// Characters that no identifier has match any one character: programs write `_` for the `.` in `f.isra.0`.
fn compile(text: &str, function: Option<&str>) -> std::result::Result<Regex, regex::Error> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '.' };
    let name: String = function.unwrap_or("f").chars().map(plain).collect();
    Regex::new(&text.replace(FUNCTION, &name))
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
        let sum = |pattern, text| Pattern::new(pattern, "x").unwrap().sum(text, Some("f.isra.0"));
        assert_eq!(sum(r"(?m)^(\d+) hits", "3 hits\n1,004 calls\n5 hits"), Some(8));
        assert_eq!(sum(r"(?m)^{function} \d+$", "f_isra_0 1\nf_isra_0 2\ng 3"), Some(2));
        assert_eq!(sum(r"wrote(?: (\d+))?", "wrote"), Some(0));
        assert_eq!(sum(r"(\d+) hits", "none"), None);
        assert_eq!(sum(r"hits", "none"), Some(0));
        assert_eq!(sum(r"(\w+) hits", "many hits"), None);
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
