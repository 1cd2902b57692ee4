//! `tracetoll clean`.

use std::process::ExitCode;

use probe_core::error::Result;
use serde::Serialize;

use crate::{
    cli::{CleanArgs, FactFormat},
    kernel::swept::Left,
    measure,
};

/// What was done, as JSON.
#[derive(Debug, Serialize)]
struct Cleaned {
    removed: Vec<String>,
    left: Vec<Left>,
}

/// Removes the leftovers of killed runs; says what it removed, what it left, and why.
///
/// # Errors
/// Something that belongs to a dead run could not be removed.
pub fn clean(args: &CleanArgs) -> Result<ExitCode> {
    super::require_root(
        "clean",
        "it removes tracetoll's probes, trace instances, control groups and folders",
    )?;
    let mut swept = measure::leftovers::sweep(args.old);
    let failed = swept.take_failure();
    let cleaned = Cleaned { removed: swept.removed, left: swept.left };
    match args.format {
        FactFormat::Json => super::print_json(&cleaned)?,
        FactFormat::Text => super::print(&told(&cleaned))?,
    }
    failed.map(|()| ExitCode::SUCCESS)
}

fn told(Cleaned { removed, left }: &Cleaned) -> String {
    let mut lines: Vec<_> = removed.iter().map(|object| format!("removed {object}\n")).collect();
    if removed.is_empty() {
        lines.push("nothing to remove\n".into());
    }
    lines.extend(left.iter().map(|Left { object, why }| format!("left {object}: {why}\n")));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_the_reason() {
        let left = vec![Left { object: "cgroup x".into(), why: "its owner lives".into() }];
        let nothing = Cleaned { removed: Vec::new(), left: Vec::new() };
        assert_eq!(told(&nothing), "nothing to remove\n");
        let cleaned = Cleaned { removed: vec!["folder y".into()], left };
        assert_eq!(told(&cleaned), "removed folder y\nleft cgroup x: its owner lives\n");
    }
}
