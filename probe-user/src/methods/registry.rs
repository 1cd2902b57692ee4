//! All methods by id, and groups of methods.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use probe_core::{
    error::{Error, Result},
    model::method::{Class, MethodId},
};

use super::{
    Method, bpf, capture, counters, entry::Entry, external, ftrace, off::Off, options::Options,
    perf,
};

const BASELINE: &[Entry] = &[
    Entry::plain(MethodId::OFF, |_| Ok(Box::new(Off::default()))),
    Entry { id: MethodId::OFF_AGAIN, grouped: None, make: |_| Ok(Box::new(Off::again())) },
];

/// The families, each of which is also a group, in the order of reports.
const FAMILIES: &[(&str, &[Entry])] = &[
    ("ftrace", ftrace::METHODS),
    ("perf", perf::METHODS),
    ("bpf", bpf::METHODS),
    ("capture", capture::METHODS),
    ("counters", counters::METHODS),
    ("external", external::METHODS),
];

const DEFAULT: &[&str] =
    &[MethodId::OFF, "ftrace-function", "perf-sample-999-callchain", "bpf-fentry-count"];

/// The groups by class of method.
const CLASSES: &[(&str, Class)] =
    &[("count", Class::Exact), ("record", Class::Recorded), ("sample", Class::Sampled)];

fn entries() -> impl Iterator<Item = &'static Entry> {
    BASELINE.iter().chain(FAMILIES.iter().flat_map(|(_, methods)| *methods))
}

/// Names of all groups.
pub fn groups() -> impl Iterator<Item = &'static str> {
    let families = FAMILIES.iter().map(|(name, _)| *name);
    let classes = CLASSES.iter().map(|(name, _)| *name);
    ["default", "all"].into_iter().chain(families).chain(classes)
}

/// Every id that [`select`] accepts, with `HZ` or `N` for a number.
pub fn ids() -> impl Iterator<Item = &'static str> {
    entries().map(|entry| entry.id)
}

/// The method named by these words: an id, with parameters that differ from the defaults; or a
/// program and its arguments, `external:NAME=program arguments…`.
///
/// # Errors
/// There is none (similar ones are suggested), it has no such parameter, or the choice depends on
/// the kernel, which does not give the information.
pub fn find(word: &str) -> Result<Box<dyn Method>> {
    if let Some(program) = external::parse(word) {
        return program;
    }
    let mut options = Options::parse(word)?;
    let entry = entries().find(|entry| entry.names(options.base()));
    let entry = entry.ok_or_else(|| unknown(options.base()))?;
    let method = (entry.make)(&mut options)?;
    options.finish()?;
    Ok(method)
}

/// The methods of a comma-separated list of ids and groups, each once, in the order of the list.
///
/// # Errors
/// As [`find`].
pub fn select(list: &str) -> Result<Vec<Box<dyn Method>>> {
    let mut methods: Vec<Box<dyn Method>> = Vec::new();
    for word in list.split(',').map(str::trim) {
        for method in group(word)?.map_or_else(|| Ok(vec![find(word)?]), Ok)? {
            if methods.iter().all(|other| other.descriptor().id != method.descriptor().id) {
                methods.push(method);
            }
        }
    }
    Ok(methods)
}

/// The methods of the group of this name; `None` if there is no such group. Creates only those that
/// may belong to it: creating a profiler asks the kernel for its event.
fn group(name: &str) -> Result<Option<Vec<Box<dyn Method>>>> {
    if name == "default" {
        return DEFAULT.iter().map(|id| find(id)).collect::<Result<_>>().map(Some);
    }
    if let Some((_, methods)) = FAMILIES.iter().find(|(family, _)| *family == name) {
        return grouped(methods.iter()).map(Some);
    }
    let class = CLASSES.iter().find(|(group, _)| *group == name).map(|(_, class)| *class);
    if name != "all" && class.is_none() {
        return Ok(None);
    }
    let mut methods = grouped(entries())?;
    methods.retain(|method| class.is_none_or(|class| method.descriptor().class == class));
    Ok(Some(methods))
}

fn grouped(entries: impl Iterator<Item = &'static Entry>) -> Result<Vec<Box<dyn Method>>> {
    entries.filter_map(|entry| entry.grouped).map(find).collect()
}

fn unknown(id: &str) -> Error {
    let accepted: Vec<&str> = groups().chain(ids()).collect();
    let distance = |known: &&&str| strsim::osa_distance(known, id);
    let nearest = accepted.iter().min_by_key(distance);
    let hint = match nearest.filter(|known| distance(known) <= id.len() / 3) {
        Some(nearest) => format!("Did you mean {nearest}? There are: {}", accepted.join(", ")),
        None => format!("There are: {}", accepted.join(", ")),
    };
    Error::invalid(format!("method `{id}`"), "there is no such method", hint)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::sys::call::Script;

    fn ids_of(list: &str) -> Vec<String> {
        let methods = select(list).unwrap();
        methods.iter().map(|method| method.descriptor().id.0.clone()).collect()
    }

    #[test]
    fn a_list_names_methods_and_groups_once_each() {
        assert_eq!(ids_of("ftrace-function, off,ftrace-function"), ["ftrace-function", "off"]);
        let _script = Script::install([-i64::from(libc::ENOENT)]);
        let default = ids_of("default,off");
        assert_eq!(default[..2], ["off", "ftrace-function"]);
        assert!(
            default.contains(&"perf-sample-999-callchain:event=cpu-clock".to_string()),
            "{default:?}"
        );
    }

    #[test]
    fn every_id_is_its_methods_own_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert(entry.id), "{} stands twice", entry.id);
            assert_eq!(entries().filter(|other| other.names(entry.id)).count(), 1, "{}", entry.id);
            // The kernel decides which ticker a profiler uses.
            let Some(id) = entry.grouped.filter(|id| !id.contains("sample")) else { continue };
            assert_eq!(find(id).unwrap().descriptor().id.0, id);
        }
    }

    /// Only a kernel can show that a method works.
    #[test]
    fn each_method_is_in_a_guest_test() {
        fn read(folder: &Path, text: &mut String) {
            for entry in fs::read_dir(folder).unwrap() {
                match entry.unwrap().path() {
                    path if path.is_dir() => read(&path, text),
                    path => text.push_str(&fs::read_to_string(path).unwrap()),
                }
            }
        }
        let mut tests = String::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guest"), &mut tests);
        // The baselines ask nothing of the kernel.
        for Entry { id, .. } in FAMILIES.iter().flat_map(|(_, methods)| *methods) {
            // Tests write the number of a kind in several ways.
            let mut parts = id.split("HZ").flat_map(|part| part.split("-N"));
            assert!(parts.all(|part| tests.contains(part)), "tests/guest/ does not name {id}");
        }
    }

    #[test]
    fn groups_hold_what_their_name_says() {
        assert!(ids_of("count").contains(&"bpf-fentry-count".into()));
        assert!(ids_of("record").contains(&"ftrace-function".into()));
        assert!(ids_of("ftrace").iter().all(|id| id.starts_with("ftrace-")));
        let all = ids_of("all");
        assert!(all[0] == "off" && !all.contains(&MethodId::OFF_AGAIN.to_owned()), "{all:?}");
    }

    #[test]
    fn a_wrong_id_is_met_with_the_nearest_and_all_others() {
        let error = |id| find(id).err().unwrap().to_string();
        let text = error("ftrace-funktion");
        assert!(
            text.contains("Did you mean ftrace-function?") && text.contains("perf-sample-HZ"),
            "{text}"
        );
        assert!(!error("nonsense-from-nowhere").contains("Did you mean"));
        assert!(error("perf-sample-0").contains("perf-sample-HZ"));
        assert!(error("bpf-fentry-count:colour=red").contains("no parameter colour"));
    }
}
