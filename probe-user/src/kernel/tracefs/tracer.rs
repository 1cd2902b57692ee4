//! The tracer of an instance, which never traces more than the functions that it was given.
//!
//! A tracer without a filter traces every function of the kernel: system calls of the whole host
//! then take ten times as long. So this is the only way to set a tracer, and it sets and checks the
//! filter first.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::Path,
};

use probe_core::{
    error::{Error, Result},
    model::target::Function,
};

use super::{Instance, refused};

const TRACER: &str = "current_tracer";
const FILTER: &str = "set_ftrace_filter";

impl Instance {
    /// Whether it accepts `tracer`: an instance lists only those that it accepts
    /// (kernel/trace/trace.c, `get_tracer_for_array`).
    ///
    /// # Errors
    /// The list cannot be read.
    pub fn accepts(&self, tracer: &str) -> Result<bool> {
        let listed = self.read("available_tracers")?;
        Ok(listed.split_whitespace().any(|word| word == tracer))
    }

    /// Makes `tracer` trace exactly `functions`, until [`Instance::close`]. Patches the functions'
    /// entries; nothing is recorded before recording is turned on.
    ///
    /// # Errors
    /// There are no functions, the kernel did not accept all of them as the filter (then no tracer
    /// is set), or it rejects the tracer.
    pub fn trace(&self, tracer: &str, functions: &[Function]) -> Result<()> {
        if functions.is_empty() {
            // With an empty filter every function passes.
            return Err(Error::unsupported(
                format!("{tracer} tracer"),
                "it was given no function, and would trace the whole kernel",
                "Name a function as the target",
            ));
        }
        self.filter(functions)?;
        self.write(TRACER, tracer)
    }

    /// Sets a filter with exactly these functions, and checks that the kernel accepted all of them.
    fn filter(&self, functions: &[Function]) -> Result<()> {
        // `:mod:!*` is the kernel itself: without it, a module's function of the same name would
        // also match.
        let word =
            |f: &Function| format!("{}:mod:{}\n", f.name, f.module.as_deref().unwrap_or("!*"));
        self.write(FILTER, &functions.iter().map(word).collect::<String>())?;
        let mut expected: Vec<_> = functions.iter().map(Function::listed).collect();
        expected.sort_unstable();
        let text = self.read(FILTER)?;
        let mut filter: Vec<_> = text.lines().collect();
        filter.sort_unstable();
        if filter == expected {
            return Ok(());
        }
        Err(Error::Inconsistent(format!("{FILTER} holds {filter:?} instead of {expected:?}")))
    }
}

/// Stops tracing functions in the instance in `folder`; its filter remains until the instance is
/// removed. (The kernel uses the same order when it removes an instance: kernel/trace/trace.c,
/// `__remove_instance`.)
///
/// # Errors
/// The kernel refused.
pub(super) fn stop(folder: &Path) -> Result<()> {
    put(folder, TRACER, "nop")
}

/// Like [`stop`], but also turns off its recording and its events: for an instance that a dead
/// owner left.
///
/// # Errors
/// The first refusal; the other steps are still tried.
pub(super) fn quiet(folder: &Path) -> Result<()> {
    let stopped = stop(folder);
    let recorded = put(folder, "tracing_on", "0");
    put(folder, "events/enable", "0").and(recorded).and(stopped)
}

/// Writes to a file if it exists; otherwise there is nothing to turn off.
fn put(folder: &Path, file: &str, value: &str) -> Result<()> {
    let path = folder.join(file);
    match OpenOptions::new().write(true).open(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(refused("open", &path, e)),
        Ok(mut file) => file.write_all(value.as_bytes()).map_err(|e| refused("write", &path, e)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// An instance with plain files: a filter reads back as written, unlike the kernel's.
    fn instance() -> (tempfile::TempDir, Instance) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("instances/x");
        fs::create_dir_all(&folder).unwrap();
        for file in ["tracing_on", TRACER, FILTER] {
            fs::write(folder.join(file), "").unwrap();
        }
        fs::write(folder.join("available_tracers"), "function nop\n").unwrap();
        let instance = Instance { folder: Some(folder) };
        (root, instance)
    }

    fn function(name: &str) -> Function {
        Function { name: name.into(), module: None, addresses: Default::default() }
    }

    #[test]
    fn no_tracer_is_set_without_its_filter() {
        let (root, instance) = instance();
        let error = instance.trace("function", &[]).unwrap_err().to_string();
        assert!(error.contains("the whole kernel"), "{error}");
        let error = instance.trace("function", &[function("f")]).unwrap_err().to_string();
        assert!(error.contains(FILTER), "{error}");
        assert_eq!(instance.read(TRACER).unwrap(), "", "the filter did not hold");
        std::mem::forget(instance);
        drop(root);
    }

    #[test]
    fn a_tracer_is_accepted_where_the_instance_lists_it() {
        let (_root, instance) = instance();
        assert!(instance.accepts("function").unwrap());
        assert!(!instance.accepts("function_graph").unwrap());
        std::mem::forget(instance);
    }

    #[test]
    fn the_tracer_ends_before_the_instance_goes() {
        let (root, instance) = instance();
        // A folder with files in it cannot be removed, like an instance that is open.
        assert!(instance.close().is_err());
        let tracer = fs::read_to_string(root.path().join("instances/x").join(TRACER)).unwrap();
        assert_eq!(tracer, "nop");
    }

    #[test]
    fn what_is_not_there_needs_no_end() {
        let root = tempfile::tempdir().unwrap();
        quiet(root.path()).unwrap();
    }
}
