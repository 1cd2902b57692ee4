//! Answers that the running kernel has already given: shared by all questions of a command, so that
//! nothing is asked twice.
//!
//! # How to ask
//! Commands that only ask (`doctor`, `methods`, `guests`, the start of a run) may run on a host
//! that is in use. So each question uses the least intrusive way to answer it:
//! - Read rather than try. An instance lists the tracers that it accepts ([`Instance::accepts`]):
//!   none has to be set.
//! - First a filter, which is read back, then the tracer ([`Instance::trace`]); the tracer is
//!   removed before its filter.
//! - An event is created but never enabled; a perf event is opened disabled, and on the own thread
//!   ([`Event::of_this_thread`]).
//! - A program is attached only to the functions and tracepoints of the target, once for all
//!   methods that attach in the same way ([`Known::attaches`]).
//!
//! [`Instance::accepts`]: super::tracefs::Instance::accepts
//! [`Instance::trace`]: super::tracefs::Instance::trace
//! [`Event::of_this_thread`]: crate::sys::perf::Event::of_this_thread

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeSet,
};

use probe_core::{
    error::Result,
    model::target::{Function, Target},
};

use super::{bpf::chosen::Programs, kallsyms::Kallsyms, targets::Traceable, tracefs::Tracefs};

/// Answers so far. Failures are not kept: the next attempt may succeed.
#[derive(Debug, Default)]
pub struct Known {
    /// The kernel programs used for questions.
    pub programs: Programs,
    tracefs: OnceCell<Tracefs>,
    symbols: OnceCell<Kallsyms>,
    traceable: OnceCell<Traceable>,
    /// What was tried and worked: its kind, and its name.
    worked: RefCell<BTreeSet<(&'static str, String)>>,
}

impl Known {
    /// Where tracefs is.
    ///
    /// # Errors
    /// As [`Tracefs::find`].
    pub fn tracefs(&self) -> Result<&Tracefs> {
        once(&self.tracefs, Tracefs::find)
    }

    /// The kernel's symbols.
    ///
    /// # Errors
    /// As [`Kallsyms::load`].
    pub fn symbols(&self) -> Result<&Kallsyms> {
        once(&self.symbols, Kallsyms::load)
    }

    /// The functions that ftrace can trace.
    ///
    /// # Errors
    /// As [`Traceable::read`].
    pub fn traceable(&self) -> Result<&Traceable> {
        let tracefs = self.tracefs()?;
        once(&self.traceable, || Traceable::read(tracefs))
    }

    /// Checks that every function of `target` can be traced, and that its tracepoints are there.
    ///
    /// # Errors
    /// As [`Traceable::check`].
    pub fn check_traceable(&self, target: &Target) -> Result<()> {
        self.traceable()?.check(target, self.tracefs()?)
    }

    /// Checks that programs attach to all of `functions` in this `way`: runs `attempt`, which
    /// attaches and detaches them, unless an earlier attempt succeeded.
    ///
    /// # Errors
    /// The error of the attempt.
    pub fn attaches(
        &self,
        way: &'static str,
        functions: &[Function],
        attempt: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.works(way, functions.iter().map(Function::listed), attempt)
    }

    /// Checks that `attempt` works on these `things`. `kind` distinguishes it from other attempts
    /// on the same things. Runs it unless all of them worked before.
    ///
    /// # Errors
    /// The error of the attempt.
    pub fn works(
        &self,
        kind: &'static str,
        things: impl IntoIterator<Item = String>,
        attempt: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let keys: BTreeSet<_> = things.into_iter().map(|thing| (kind, thing)).collect();
        if !keys.is_subset(&self.worked.borrow()) {
            attempt()?;
            self.worked.borrow_mut().extend(keys);
        }
        Ok(())
    }
}

/// Like `OnceCell::get_or_try_init`, which is not stable.
fn once<T>(cell: &OnceCell<T>, ask: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(known) = cell.get() {
        return Ok(known);
    }
    let answer = ask()?;
    Ok(cell.get_or_init(|| answer))
}

#[cfg(test)]
mod tests {
    use probe_core::error::Error;

    use super::*;

    fn function(name: &str) -> Function {
        Function { name: name.into(), module: None, addresses: Default::default() }
    }

    #[test]
    fn what_attached_once_is_not_tried_again() {
        let known = Known::default();
        let (one, both) = ([function("a")], [function("a"), function("b")]);
        let tried = |way, functions: &[Function]| {
            let mut tried = false;
            known
                .attaches(way, functions, || {
                    tried = true;
                    Ok(())
                })
                .unwrap();
            tried
        };
        assert!(tried("fentry", &one) && !tried("fentry", &one));
        assert!(tried("fexit", &one), "another way is another question");
        assert!(tried("fentry", &both) && !tried("fentry", &both));
    }

    #[test]
    fn a_failure_is_asked_again() {
        let known = Known::default();
        let no = || Err(Error::Inconsistent("no".into()));
        assert!(known.attaches("fentry", &[function("a")], no).is_err());
        assert!(known.attaches("fentry", &[function("a")], no).is_err());
        let cell = OnceCell::new();
        assert!(once::<u8>(&cell, || Err(Error::Inconsistent("no".into()))).is_err());
        assert_eq!(*once(&cell, || Ok(5)).unwrap(), 5);
        assert_eq!(*once(&cell, || Ok(6)).unwrap(), 5);
    }
}
