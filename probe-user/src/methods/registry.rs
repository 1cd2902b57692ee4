//! All methods by id, and the groups that stand for several.

use super::{
    Method,
    bpf::FentryCount,
    ftrace::function::{self, FunctionTracer},
    off::Off,
    perf::sample::{self, SampleProfiler},
};
use crate::{
    error::{Error, Result},
    model::method::MethodId,
};

/// Makes a method with its default parameters.
type Make = fn() -> Box<dyn Method>;

/// Methods whose id has no parameter.
const PLAIN: &[(&str, Make)] = &[
    (MethodId::OFF, || Box::new(Off::default())),
    (function::ID, || Box::new(FunctionTracer::new(function::Parameters::default()))),
    (FentryCount::ID, || Box::new(FentryCount::new())),
];

const DEFAULT: &[&str] = &[MethodId::OFF, function::ID, "perf-sample-999", FentryCount::ID];

/// Groups: what a person types, and the ids that it stands for.
const GROUPS: &[(&str, &[&str])] = &[("default", DEFAULT), ("all", DEFAULT)];

/// Everything that [`select`] accepts, with `HZ` for a number: for help texts.
pub fn accepted() -> Vec<String> {
    let sampled = [
        format!("{}HZ", sample::PREFIX),
        format!("{}HZ-cpu-clock", sample::PREFIX),
        format!("{}HZ-cycles", sample::PREFIX),
    ];
    let groups = GROUPS.iter().map(|(name, _)| (*name).to_string());
    groups.chain(PLAIN.iter().map(|(id, _)| (*id).to_string())).chain(sampled).collect()
}

/// The method of this id.
///
/// # Errors
/// There is none (the nearest are offered), or which one it is depends on the kernel and the kernel does not tell.
pub fn find(id: &str) -> Result<Box<dyn Method>> {
    if let Some((_, make)) = PLAIN.iter().find(|(plain, _)| *plain == id) {
        return Ok(make());
    }
    match SampleProfiler::parse(id) {
        Some(profiler) => Ok(Box::new(profiler?)),
        None => Err(unknown(id)),
    }
}

/// The methods of a comma-separated list of ids and groups, each once, in the order of the list.
///
/// # Errors
/// As [`find`].
pub fn select(list: &str) -> Result<Vec<Box<dyn Method>>> {
    let mut methods: Vec<Box<dyn Method>> = Vec::new();
    for word in list.split(',').map(str::trim) {
        let group = GROUPS.iter().find(|(name, _)| *name == word);
        for id in group.map_or(&[word][..], |(_, ids)| ids) {
            let method = find(id)?;
            if methods.iter().all(|other| other.descriptor().id != method.descriptor().id) {
                methods.push(method);
            }
        }
    }
    Ok(methods)
}

fn unknown(id: &str) -> Error {
    let accepted = accepted();
    let distance = |known: &String| strsim::osa_distance(known, id);
    let nearest = accepted.iter().min_by_key(|known| distance(known));
    let remedy = match nearest.filter(|known| distance(known) <= id.len() / 3) {
        Some(nearest) => format!("Did you mean {nearest}? There are: {}", accepted.join(", ")),
        None => format!("There are: {}", accepted.join(", ")),
    };
    Error::invalid(format!("method `{id}`"), "there is no such method", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::call::Script;

    fn ids(list: &str) -> Vec<String> {
        let methods = select(list).unwrap();
        methods.iter().map(|method| method.descriptor().id.0.clone()).collect()
    }

    #[test]
    fn a_list_names_methods_and_groups_once_each() {
        assert_eq!(ids("ftrace-function, off,ftrace-function"), ["ftrace-function", "off"]);
        let _script = Script::install([-i64::from(libc::ENOENT)]);
        let default = ids("default,off");
        assert_eq!(default[..2], ["off", "ftrace-function"]);
        assert!(default.contains(&"perf-sample-999-cpu-clock".to_string()), "{default:?}");
    }

    #[test]
    fn every_plain_id_is_its_methods_own() {
        for (id, make) in PLAIN {
            assert_eq!(make().descriptor().id.0, *id);
        }
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
    }
}
