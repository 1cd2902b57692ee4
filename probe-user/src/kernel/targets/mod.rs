//! Resolves what a user asks for to functions of the running kernel.

mod expand;
mod presets;
mod traceable;

use std::fmt::Write as _;

use probe_core::{
    error::{Error, Result},
    model::target::{Function, Target, Tracepoint},
};

pub use self::{
    expand::expand,
    presets::{PRESETS, Preset, Resolved},
    traceable::Traceable,
};
use crate::kernel::{
    kallsyms::{Kallsyms, Symbol},
    tracefs::Tracefs,
};

/// Prefix of a tracepoint, as in bpftrace: `tracepoint:net:net_dev_xmit`.
const TRACEPOINT: &str = "tracepoint:";

/// Number of names to suggest for one that does not exist.
const OFFERS: usize = 3;

/// Resolves a comma-separated list of presets, functions and tracepoints (`vhost`,
/// `handle_tx,tun_get_user`, `vhost_net:handle_tx`, `tracepoint:net:net_dev_xmit`). Each keeps the
/// position of its first mention.
///
/// # Errors
/// A function does not exist (the nearest names are suggested), is in several modules, or its
/// module is not loaded.
pub fn resolve(request: &str, symbols: &Kallsyms) -> Result<Target> {
    let mut target = Target::default();
    for word in request.split(',').map(str::trim) {
        let found = match PRESETS.iter().find(|preset| preset.name == word) {
            Some(preset) => preset.resolve(symbols)?.target,
            None => one(word, symbols)?,
        };
        add_new(&mut target.functions, found.functions);
        add_new(&mut target.tracepoints, found.tracepoints);
    }
    Ok(target)
}

/// Resolves a word that is not a preset.
fn one(word: &str, symbols: &Kallsyms) -> Result<Target> {
    let Some(tracepoint) = word.strip_prefix(TRACEPOINT) else {
        return Ok(Target { functions: vec![one_function(word, symbols)?], ..Target::default() });
    };
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    match tracepoint.split_once(':') {
        Some((group, name)) if plain(group) && plain(name) => Ok(Target {
            tracepoints: vec![Tracepoint { group: group.into(), name: name.into() }],
            ..Target::default()
        }),
        _ => Err(Error::invalid(
            format!("target `{word}`"),
            "a tracepoint has a group and a name",
            "Write it as tracepoint:net:net_dev_xmit; available_events in tracefs lists all",
        )),
    }
}

/// Notes on the presets in `request` on this kernel: which function stands in for which, and what
/// was left out.
///
/// # Errors
/// As [`resolve`].
pub fn notes(request: &str, symbols: &Kallsyms) -> Result<Vec<String>> {
    let words: Vec<_> = request.split(',').map(str::trim).collect();
    let named = PRESETS.iter().filter(|preset| words.contains(&preset.name));
    let notes = named.map(|preset| Ok(preset.resolve(symbols)?.notes));
    Ok(notes.collect::<Result<Vec<_>>>()?.concat())
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, found: Vec<T>) {
    for one in found {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// The resolved functions of a target, one line each.
pub fn describe(target: &Target) -> Vec<String> {
    target
        .functions
        .iter()
        .map(|function| {
            let mut line = function.listed();
            let range = function.addresses;
            let _ = write!(
                line,
                " at {:#x}, {} bytes",
                range.start,
                range.end.saturating_sub(range.start)
            );
            line
        })
        .collect()
}

/// Like [`Traceable::check`], for a single question.
///
/// # Errors
/// A function cannot be traced, a tracepoint does not exist, or the list cannot be read.
pub fn check_traceable(target: &Target, tracefs: &Tracefs) -> Result<()> {
    Traceable::read(tracefs)?.check(target, tracefs)
}

fn one_function(word: &str, symbols: &Kallsyms) -> Result<Function> {
    let (module, name) = match word.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, word),
    };
    let found: Vec<_> =
        symbols.named(name).filter(|s| module.is_none() || s.module == module).collect();
    match &found[..] {
        [symbol] => Ok(function(*symbol)),
        [] => Err(unknown(word, name, symbols)),
        several => Err(ambiguous(name, several)),
    }
}

fn function(symbol: Symbol<'_>) -> Function {
    Function {
        name: symbol.name.into(),
        module: symbol.module.map(Into::into),
        addresses: symbol.addresses,
    }
}

fn unknown(word: &str, name: &str, symbols: &Kallsyms) -> Error {
    let near: Vec<_> = symbols.nearest(name, OFFERS).into_iter().map(|s| listed(&s)).collect();
    let presets: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
    let hint = if near.is_empty() {
        format!("Load the module that holds it, or use a preset: {}", presets.join(", "))
    } else {
        format!("The nearest names are: {}", near.join(", "))
    };
    Error::invalid(format!("target `{word}`"), "the running kernel has no such function", hint)
}

fn ambiguous(name: &str, found: &[Symbol<'_>]) -> Error {
    let places: Vec<_> = found.iter().map(listed).collect();
    let mut modules: Vec<_> = found.iter().map(|s| s.module).collect();
    modules.sort_unstable();
    modules.dedup();
    let hint = match modules.into_iter().flatten().next() {
        Some(module) if places.iter().collect::<std::collections::BTreeSet<_>>().len() > 1 => {
            format!("Name the module too, as in {module}:{name}")
        }
        _ => "Trace a function that calls it".to_string(),
    };
    let why = format!("{} functions have this name: {}", found.len(), places.join(", "));
    Error::invalid(format!("target `{name}`"), why, hint)
}

fn listed(symbol: &Symbol<'_>) -> String {
    function(*symbol).listed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> Kallsyms {
        let text = "\
ffffffff81000000 t handle_tx
ffffffff81000040 t helper
ffffffff81000080 t helper
ffffffff810000c0 T tcp_sendmsg
ffffffffc0100010 t handle_tx\t[vhost_net]
ffffffffc0100090 t handle_rx\t[vhost_net]
ffffffffc0100110 t vhost_net_open\t[vhost_net]
ffffffffc0200000 t tun_get_user\t[tun]
";
        Kallsyms::parse(text.into()).unwrap()
    }

    fn names(request: &str) -> Vec<String> {
        resolve(request, &symbols()).unwrap().functions.iter().map(Function::listed).collect()
    }

    fn refusal(request: &str) -> String {
        resolve(request, &symbols()).unwrap_err().to_string()
    }

    #[test]
    fn the_preset_takes_its_own_module_and_no_namesake() {
        assert_eq!(names("vhost"), ["handle_tx [vhost_net]", "handle_rx [vhost_net]"]);
        // A kernel with vhost_net built in: no module, and one function of each name.
        let built_in =
            "ffffffff81000000 t handle_tx\nffffffff81000040 t handle_rx\nffffffff81000080 D x\n";
        let target = resolve("vhost", &Kallsyms::parse(built_in.into()).unwrap()).unwrap();
        assert_eq!(target.functions[1].module, None);
        assert_eq!(
            describe(&target),
            [
                "handle_tx at 0xffffffff81000000, 64 bytes",
                "handle_rx at 0xffffffff81000040, 64 bytes"
            ]
        );
    }

    #[test]
    fn tracepoints_are_told_from_functions_by_their_prefix() {
        let target = resolve("tracepoint:net:net_dev_xmit,vhost", &symbols()).unwrap();
        assert_eq!(
            target.items().map(|(_, name)| name).collect::<Vec<_>>(),
            ["handle_tx", "handle_rx", "net:net_dev_xmit", "frames"]
        );
        for word in ["tracepoint:", "tracepoint:net", "tracepoint:net:", "tracepoint:../x:y"] {
            assert!(refusal(word).contains("available_events"), "{word}");
        }
    }

    #[test]
    fn lists_keep_their_order_and_repeat_nothing() {
        assert_eq!(
            names("tun_get_user, vhost,vhost_net:handle_rx"),
            ["tun_get_user [tun]", "handle_tx [vhost_net]", "handle_rx [vhost_net]"]
        );
    }

    #[test]
    fn a_missing_module_is_named_with_what_loads_it() {
        let bare = Kallsyms::parse("ffffffff81000000 t tcp_sendmsg\n".into()).unwrap();
        let error = resolve("vhost", &bare).unwrap_err().to_string();
        assert!(error.contains("modprobe vhost_net"), "{error}");
    }

    #[test]
    fn an_unknown_function_is_met_with_the_nearest_names() {
        assert!(
            refusal("handle_txx").contains("handle_tx [vhost_net]"),
            "{}",
            refusal("handle_txx")
        );
        assert!(refusal("").contains("no such function"));
    }

    #[test]
    fn namesakes_are_refused_with_a_way_to_tell_them_apart() {
        assert!(refusal("handle_tx").contains("vhost_net:handle_tx"), "{}", refusal("handle_tx"));
        assert!(refusal("helper").contains("2 functions have this name"), "{}", refusal("helper"));
    }

    #[test]
    fn a_function_that_is_not_listed_cannot_be_traced() {
        let root = tempfile::tempdir().unwrap();
        let listed = "tcp_sendmsg\nhandle_tx [vhost_net]\nhandle_rx\n";
        std::fs::write(root.path().join("available_filter_functions"), listed).unwrap();
        let tracefs = Tracefs::at(root.path());
        let events = tracefs.path("events/net/net_dev_xmit");
        std::fs::create_dir_all(&events).unwrap();
        std::fs::write(events.join("id"), "1234\n").unwrap();
        let check = |request| check_traceable(&resolve(request, &symbols()).unwrap(), &tracefs);
        check("tcp_sendmsg,vhost_net:handle_tx").unwrap();
        // handle_rx is listed, but not that of vhost_net.
        let error = check("vhost").unwrap_err().to_string();
        assert!(error.contains("handle_rx [vhost_net]: it exists"), "{error}");
        check("tracepoint:net:net_dev_xmit").unwrap();
        let error = check("tracepoint:net:no_such").unwrap_err().to_string();
        assert!(error.contains("net:no_such") && error.contains("available_events"), "{error}");
    }
}
