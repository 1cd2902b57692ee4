//! The functions that ftrace can trace.

use std::collections::HashSet;

use probe_core::{
    error::{Error, Result},
    model::target::{Function, Target},
};

use crate::kernel::tracefs::Tracefs;

const FILE: &str = "available_filter_functions";

/// `available_filter_functions`: about 45,000 lines, which take an emulated machine a quarter of a
/// second. So it is read only once.
#[derive(Debug)]
pub struct Traceable(String);

impl Traceable {
    /// Reads the list.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(tracefs: &Tracefs) -> Result<Self> {
        tracefs.read(FILE).map(Self)
    }

    /// The list as in tracefs, one function per line.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Checks that the function tracer can attach to every function of `target`, and that its
    /// tracepoints exist.
    ///
    /// # Errors
    /// A function is not in the list, or a tracepoint not in `events`.
    pub fn check(&self, target: &Target, tracefs: &Tracefs) -> Result<()> {
        let tracepoints = &target.tracepoints;
        tracepoints.iter().try_for_each(|one| tracefs.tracepoint_id(one).map(drop))?;
        let mut missing: HashSet<String> = target.functions.iter().map(Function::listed).collect();
        for line in self.0.lines() {
            missing.remove(line);
        }
        let first =
            target.functions.iter().map(Function::listed).find(|name| missing.contains(name));
        first.map_or(Ok(()), |name| {
            Err(Error::unsupported(
                name,
                format!("it exists, but the kernel cannot trace it (not in {FILE})"),
                "It is inlined elsewhere, marked notrace, or assembly: trace one of its callers",
            ))
        })
    }

    /// Checks that each of `functions` is the only one with its name, in the kernel and in all
    /// modules.
    ///
    /// # Errors
    /// It is not; the error names `user`, which would trace all of them.
    pub fn check_unique(&self, functions: &[Function], user: &str) -> Result<()> {
        for function in functions {
            let named = |line: &&str| line.split(' ').next() == Some(&function.name);
            let same: Vec<&str> = self.0.lines().filter(named).collect();
            if same.len() > 1 {
                return Err(Error::unsupported(
                    format!("{user} at {}", function.name),
                    format!("it would trace each of {}", same.join(", ")),
                    "Unload the other modules, or use a kprobe event",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let function = |name: &str| Function {
            name: name.into(),
            module: None,
            addresses: Default::default(),
        };
        let listed = "handle_tx_kick [vhost_net]\nhandle_tx [vhost_net]\nhandle_tx [other]\nf\n";
        let traceable = Traceable(listed.into());
        traceable.check_unique(&[function("f")], "fprobe event").unwrap();
        let error = traceable.check_unique(&[function("handle_tx")], "fprobe event").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("fprobe event at handle_tx") && text.contains("[other]"), "{text}");
    }
}
