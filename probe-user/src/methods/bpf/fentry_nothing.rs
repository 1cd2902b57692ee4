//! `bpf-fentry-empty` and `bpf-fentry-timestamp`: programs that observe nothing, to measure a cost.
//!
//! The empty program shows the cost of the hook: the patched entry, the trampoline, the call. The
//! other program also reads the clock, which every record with a time needs. Nothing runs in user
//! space.

use probe_core::{
    error::Result,
    model::method::{Class, SeriesUnit},
};
use probe_ebpf::{fentry_empty, fentry_timestamp};

use super::session::{Account, Design, MethodKind, Part, Programmed, Traced};
use crate::{
    kernel::bpf::{
        loader::{Loader, Spot},
        probe::Probe,
    },
    methods::{Cadence, Method, options::Options},
};

/// Id of the method with the empty program.
pub(super) const EMPTY: &str = "bpf-fentry-empty";
/// Id of the method that reads the clock.
pub(super) const TIMESTAMP: &str = "bpf-fentry-timestamp";

/// The price of the hook; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn empty(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary = "fentry programs that do nothing: the cost of the hook";
    Ok(method(options, fentry_empty::PROGRAM, summary))
}

/// The price of the timestamp; it has no parameters.
#[expect(clippy::unnecessary_wraps, reason = "as the registry makes all methods")]
pub(super) fn timestamp(options: &mut Options) -> Result<Box<dyn Method>> {
    let summary = "fentry programs that only read the clock: the cost of a timestamp";
    Ok(method(options, fentry_timestamp::PROGRAM, summary))
}

fn method(options: &Options, program: &'static str, summary: &str) -> Box<dyn Method> {
    let kind = MethodKind { unit: SeriesUnit::Nothing, ..MethodKind::new(Class::Nothing, summary) };
    Programmed::make(options, kind, Nothing { program })
}

#[derive(Debug)]
struct Nothing {
    program: &'static str,
}

#[derive(Debug)]
struct Unread;

impl Design for Nothing {
    type Part = Unread;

    fn cadence(&self) -> Cadence {
        Cadence::Never
    }

    fn load(&self, loader: &mut Loader, spot: Spot<'_>) -> Result<Traced<Unread>> {
        Ok(Traced::new(loader.load(self.program, &[], spot)?, Unread))
    }
}

impl Part for Unread {
    fn account(&mut self, _: &[Probe]) -> Result<Account> {
        Ok(Account::new(None, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler must not remove the clock read as unused.
    #[test]
    fn only_one_of_them_reads_the_clock() {
        const CALL: u8 = 0x85;
        const KTIME_GET_NS: i32 = 5;
        let object = aya_obj::Object::parse(probe_ebpf::OBJECT).unwrap();
        let reads = |program: &str| {
            let code = &object.functions[&object.programs[program].function_key()].instructions;
            code.iter().filter(|insn| insn.code == CALL && insn.imm == KTIME_GET_NS).count()
        };
        assert_eq!((reads(fentry_empty::PROGRAM), reads(fentry_timestamp::PROGRAM)), (0, 1));
    }
}
