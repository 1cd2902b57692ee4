//! `tracetoll schema`.

use std::process::ExitCode;

use probe_core::{error::Result, model::schema};

use crate::cli::SchemaArgs;

/// Prints the JSON Schema of `campaign.json` of this version. It does not depend on any result, so
/// it is not a format of `report`.
///
/// # Errors
/// Standard output cannot be written.
pub fn schema(SchemaArgs {}: &SchemaArgs) -> Result<ExitCode> {
    super::print_json(&schema::campaign())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jsonschema::Validator;
    use probe_core::{
        analysis::fixture::{campaign, machines},
        model::campaign::Campaign,
    };
    use serde_json::Value;

    use super::schema;
    use crate::measure::{
        journal::{self, JOURNAL, Journal},
        store,
    };

    fn validator() -> Validator {
        jsonschema::draft202012::new(&schema::campaign()).unwrap()
    }

    fn refusals(validator: &Validator, result: &Value) -> Vec<String> {
        let told = |e: jsonschema::ValidationError<'_>| format!("{}: {e}", e.instance_path());
        validator.iter_errors(result).map(told).collect()
    }

    /// As `tracetoll run` writes it.
    fn written(campaign: &Campaign) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let file = journal::write_campaign(folder.path(), campaign).unwrap();
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    #[test]
    fn results_follow_the_schema() {
        let validator = validator();
        for campaign in [campaign(), machines().campaign()] {
            assert_eq!(refusals(&validator, &written(&campaign)), Vec::<String>::new());
        }
    }

    #[test]
    fn the_result_of_a_journal_follows_the_schema() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(JOURNAL);
        let mut open = Journal::open(&path).unwrap();
        machines().journal().iter().for_each(|line| open.write(line).unwrap());
        let result = written(&store::read(&path).unwrap());
        assert_eq!(refusals(&validator(), &result), Vec::<String>::new());
    }

    /// The paths of every object below this one.
    fn objects(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(path.to_owned());
                fields.iter().for_each(|(name, value)| {
                    objects(value, &format!("{path}/{name}"), found);
                });
            }
            // The first element represents all of them.
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    objects(first, &format!("{path}/0"), found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_schema_requires_what_the_reader_requires() {
        let mut campaign = campaign();
        // One fidelity trial is enough, with the reference counter and series.
        campaign.trials.drain(..campaign.trials.len() - 1);
        let (validator, whole) = (validator(), written(&campaign));
        let mut paths = Vec::new();
        objects(&whole, "", &mut paths);
        let (mut required, mut optional) = (0, 0);
        for path in paths {
            let names: Vec<String> =
                whole.pointer(&path).unwrap().as_object().unwrap().keys().cloned().collect();
            for name in names {
                let mut part = whole.clone();
                part.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&name);
                let read = serde_json::from_value::<Campaign>(part.clone());
                let valid = validator.is_valid(&part);
                assert_eq!(read.is_ok(), valid, "without {path}/{name}: {:?}", read.err());
                *(if valid { &mut optional } else { &mut required }) += 1;
            }
        }
        assert!(required > 100 && optional > 10, "{required} and {optional}");
        let root = schema::campaign();
        let names = root["required"].as_array().unwrap();
        for name in ["schema_version", "design", "runs", "trials", "summary"] {
            assert!(names.contains(&name.into()), "{name}");
        }
    }

    #[test]
    fn what_is_no_result_of_this_version_is_refused() {
        let (validator, whole) = (validator(), written(&campaign()));
        let with = |path: &str, value: Value| {
            let mut changed = whole.clone();
            *changed.pointer_mut(path).unwrap() = value;
            refusals(&validator, &changed)
        };
        for (path, value) in [
            ("/schema_version", 2.into()),
            ("/trials/0/pace", "hurried".into()),
            ("/trials/0/block", "one".into()),
            ("/runs/0/seed", (-1).into()),
            ("/design/scenario/bin", 250.into()),
        ] {
            assert!(!with(path, value).is_empty(), "{path}");
        }
    }

    #[test]
    fn the_schema_names_its_version_and_no_host() {
        let root = schema::campaign();
        assert_eq!(root["$id"], "urn:tracetoll:campaign:4");
        assert!(root["title"].as_str().unwrap().ends_with("version 4"));
        assert!(!root.to_string().contains("[`"));
    }
}
