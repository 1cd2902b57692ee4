//! What dead owners left in tracefs.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use super::{
    owner::Judge,
    swept::Swept,
    tracefs::{DYNAMIC_EVENTS, Tracefs},
};

/// Removes the instances and probe events of dead owners, and no others.
pub fn sweep(tracefs: &Tracefs, judge: &Judge, swept: &mut Swept) {
    // Instances first: an event that is enabled in an instance cannot be removed.
    match tracefs.instances() {
        Err(error) => swept.failed(error),
        Ok(names) => {
            for name in names {
                let Some(fate) = judge.fate(&name) else { continue };
                let removed = || tracefs.remove_instance(&name);
                swept.settle(format!("tracefs instance {name}"), fate, removed);
            }
        }
    }
    match tracefs.read_if_there(DYNAMIC_EVENTS) {
        Err(error) => swept.failed(error),
        Ok(events) => {
            for (group, event) in events.iter().flat_map(|e| e.lines()).filter_map(dynamic_event) {
                let Some(fate) = judge.fate(group) else { continue };
                let removed = || tracefs.remove_event(group, event);
                swept.settle(format!("probe event {group}/{event}"), fate, removed);
            }
        }
    }
}

/// Group and name of a line of `dynamic_events`: `p:tracetoll_41/tx handle_tx`, `r8:group/name …`.
fn dynamic_event(line: &str) -> Option<(&str, &str)> {
    let (_kind, rest) = line.split_once(':')?;
    rest.split_whitespace().next()?.split_once('/')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kernel::tag::Tag;

    /// The files that `mkdir` in a real tracefs would create, and our own objects among others'.
    fn fake() -> (tempfile::TempDir, Tracefs) {
        let root = tempfile::tempdir().unwrap();
        let instances = root.path().join("instances");
        for name in
            ["tracetoll-k3f9x2b-function", "tracetoll-a0a0a0a-function", "theirs", "tracetoll-x"]
        {
            fs::create_dir_all(instances.join(name)).unwrap();
        }
        let tracefs = Tracefs::at(root.path());
        (root, tracefs)
    }

    /// The result of a sweep after the owner of the first objects died.
    fn swept(tracefs: &Tracefs) -> Swept {
        let mut swept = Swept::default();
        sweep(tracefs, &Judge::of_dead(Tag::parse("k3f9x2b").unwrap()), &mut swept);
        swept
    }

    #[test]
    fn a_sweep_takes_only_what_dead_runs_left() {
        let (_root, tracefs) = fake();
        fs::create_dir_all(tracefs.path("events/tracetoll_k3f9x2b/tx")).unwrap();
        fs::write(tracefs.path("events/tracetoll_k3f9x2b/tx/enable"), "1").unwrap();
        let events =
            "p:tracetoll_k3f9x2b/tx handle_tx\nr4:tracetoll_a0a0a0a/tx handle_tx\np:theirs/x f\n";
        fs::write(tracefs.path("dynamic_events"), events).unwrap();

        let swept = swept(&tracefs).outcome().unwrap();

        assert_eq!(
            swept.removed,
            ["tracefs instance tracetoll-k3f9x2b-function", "probe event tracetoll_k3f9x2b/tx"]
        );
        let mut left = tracefs.instances().unwrap();
        left.sort();
        assert_eq!(left, ["theirs", "tracetoll-a0a0a0a-function", "tracetoll-x"]);
        // A plain file keeps what a real one would act on: one line is appended, the rest is
        // unchanged.
        let written = tracefs.read("dynamic_events").unwrap();
        assert_eq!(written, format!("{events}-:tracetoll_k3f9x2b/tx\n"));
        assert_eq!(tracefs.read("events/tracetoll_k3f9x2b/tx/enable").unwrap(), "0");
    }

    #[test]
    fn a_sweep_goes_on_after_a_refusal_and_reports_it() {
        let (_root, tracefs) = fake();
        let busy = tracefs.path("instances/tracetoll-k3f9x2b-function");
        for file in ["tracing_on", "set_event", "current_tracer"] {
            fs::write(busy.join(file), "1").unwrap();
        }
        fs::create_dir(tracefs.path("instances/tracetoll-k3f9x2b-trial")).unwrap();
        let error = swept(&tracefs).outcome().unwrap_err();
        assert!(error.to_string().contains("tracetoll-k3f9x2b-function"), "{error}");
        assert!(!tracefs.path("instances/tracetoll-k3f9x2b-trial").exists());
        // Objects that cannot be removed yet no longer trace.
        assert_eq!(fs::read_to_string(busy.join("tracing_on")).unwrap(), "0");
        assert_eq!(fs::read_to_string(busy.join("current_tracer")).unwrap(), "nop");
    }
}
