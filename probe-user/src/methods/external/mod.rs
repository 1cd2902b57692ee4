//! Other programs as methods: anything that can be started on a command line.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod hits;
pub mod pattern;
pub mod presets;
pub mod program;
#[cfg(test)]
mod recordings;
mod room;
mod running;
pub mod tree;

pub use presets::METHODS;
use probe_core::{
    error::{Error, Result},
    model::external::External,
};
use program::Program;

use crate::methods::Method;

/// The method for `external:NAME=argv…`; the words are split as a shell does, without any other
/// feature of a shell. `None` for any other word.
///
/// # Errors
/// A quote is not closed, or there is no name or no program.
pub fn parse(word: &str) -> Option<Result<Box<dyn Method>>> {
    let (name, line) = word.strip_prefix("external:")?.split_once('=')?;
    let split = shlex::split(line).ok_or_else(|| {
        Error::invalid(format!("method `{word}`"), "a quote is not closed", "Close it")
    });
    let method = split.and_then(|argv| Program::new(External::new(name, argv)));
    Some(method.map(|method| Box::new(method) as Box<dyn Method>))
}

/// The methods of a scenario's `[[external]]` tables.
///
/// # Errors
/// A pattern is wrong, or there is no name or no program.
pub fn defined(externals: &[External]) -> Result<Vec<Box<dyn Method>>> {
    let make = |external: &External| {
        Program::new(external.clone()).map(|method| Box::new(method) as Box<dyn Method>)
    };
    externals.iter().map(make).collect()
}

#[cfg(test)]
mod tests {
    use probe_core::model::method::Class;

    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let method = parse("external:mine=prog -e 'a, b { c }' {functions}").unwrap().unwrap();
        let descriptor = method.descriptor();
        assert_eq!(descriptor.id.0, "external:mine");
        assert_eq!(descriptor.class, Class::Recorded);
        let argv = &descriptor.parameters["argv"];
        assert_eq!(*argv, serde_json::json!(["prog", "-e", "a, b { c }", "{functions}"]));
    }

    #[test]
    fn what_is_no_program_is_refused_or_another_methods() {
        assert!(parse("ftrace-function").is_none());
        for wrong in ["external:x='open", "external:=prog", "external:x=", "external:a b=prog"] {
            let error = parse(wrong).unwrap().err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| text.contains("external:")), "{wrong}");
        }
    }

    #[test]
    fn a_table_of_a_scenario_knows_no_other_fields() {
        let table = "name = \"x\"\nargv = [\"prog\"]\n";
        let external: External = toml::from_str(table).unwrap();
        assert_eq!(external, External::new("x", vec!["prog".into()]));
        let more = format!("{table}stop = \"TERM\"\ncounts = \"frames\"\ntimeout = \"5s\"\n");
        let external: External = toml::from_str(&more).unwrap();
        assert_eq!(defined(&[external]).unwrap()[0].descriptor().class, Class::Inferred);
        assert!(toml::from_str::<External>(&format!("{table}shell = true\n")).is_err());
    }
}
