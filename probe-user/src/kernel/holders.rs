//! Finds out whether another tracer already holds a target.
//!
//! With two users of one function, ftrace replaces a direct call by a list that is walked at every
//! call, so both cost several times as much. A measurement must know that.

use std::{fs, path::Path};

use probe_core::{
    error::{Error, Result},
    model::target::{Function, Target},
};

use crate::kernel::tracefs::{Tracefs, mounted};

/// Something attached to a function of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The function, as tracefs lists it.
    pub function: String,
    /// What holds it, as far as the kernel reports it.
    pub by: String,
}

/// What is attached to the functions of `target` now: ftrace users (function tracers, fprobes,
/// fentry programs, kprobes at the function's start) from `enabled_functions`, and kprobes anywhere
/// in the function from debugfs, if that is mounted.
///
/// # Errors
/// One of the lists exists but cannot be read.
pub fn holders(target: &Target, tracefs: &Tracefs) -> Result<Vec<Holder>> {
    let mut holders = Vec::new();
    if let Some(text) = tracefs.read_if_there("enabled_functions")? {
        holders.extend(target.functions.iter().flat_map(|function| ftrace_users(function, &text)));
    }
    if let Some(debugfs) = mounted("debugfs")? {
        let text = kprobe_list(&debugfs)?;
        holders.extend(target.functions.iter().flat_map(|function| kprobes(function, &text)));
    }
    Ok(holders)
}

/// The functions of `target` that no user of ftrace holds; empty if the kernel has no list of
/// users.
///
/// # Errors
/// The list exists but cannot be read.
pub fn unheld<'a>(target: &'a Target, tracefs: &Tracefs) -> Result<Vec<&'a Function>> {
    let Some(text) = tracefs.read_if_there("enabled_functions")? else { return Ok(Vec::new()) };
    let unheld = |function: &&Function| ftrace_users(function, &text).is_empty();
    Ok(target.functions.iter().filter(unheld).collect())
}

/// The error that refuses to share a target with `holders`, of which there must be at least one.
pub fn refusal(holders: &[Holder]) -> Error {
    let list: Vec<_> =
        holders.iter().map(|holder| format!("{} by {}", holder.function, holder.by)).collect();
    Error::unsupported(
        "target",
        format!("another tracer holds it, which multiplies the cost of both: {}", list.join("; ")),
        "Stop the other tracer, or pass --allow-shared (the result records it)",
    )
}

fn kprobe_list(debugfs: &Path) -> Result<String> {
    let path = debugfs.join("kprobes/list");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Error::file("read", path, e)),
    }
}

/// Lines of `enabled_functions` about `function` (kernel/trace/ftrace.c, `print_rec` and `t_show`):
/// `handle_tx [vhost_net] (1) R   D     \ttramp: ADDRESS (SYMBOL+0x0/0x0) ->SYMBOL+0x0/0x0`.
fn ftrace_users(function: &Function, text: &str) -> Vec<Holder> {
    let name = function.listed();
    let about = |line: &str| -> Option<Holder> {
        let rest = line.strip_prefix(&name)?.strip_prefix(" (")?;
        let (users, flags) = rest.split_once(')')?;
        let flags = flags.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Holder { function: name.clone(), by: format!("{users} ftrace user(s), {flags}") })
    };
    text.lines().filter_map(about).collect()
}

/// Lines of `kprobes/list` inside `function` (kernel/kprobes.c, `report_probe`):
/// `ffffffffc0100014  k  handle_tx+0x4  vhost_net [FTRACE]`. The address decides, not the name.
fn kprobes(function: &Function, text: &str) -> Vec<Holder> {
    let inside = |line: &str| -> Option<Holder> {
        let mut words = line.split_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok()?;
        let kind = match words.next()? {
            "k" => "a kprobe",
            "r" => "a kretprobe",
            _ => "a probe",
        };
        let by = format!("{kind} at {}", words.collect::<Vec<_>>().join(" "));
        let holder = Holder { function: function.listed(), by };
        function.addresses.contains(address).then_some(holder)
    };
    text.lines().filter_map(inside).collect()
}

#[cfg(test)]
mod tests {
    use probe_core::model::target::Range;

    use super::*;

    fn handle_tx() -> Function {
        let addresses = Range { start: 0xffff_ffff_c010_0010, end: 0xffff_ffff_c010_0090 };
        Function { name: "handle_tx".into(), module: Some("vhost_net".into()), addresses }
    }

    #[test]
    fn an_ftrace_user_is_told_with_its_flags() {
        let text = "handle_tx_kick [vhost_net] (1)\nhandle_tx (3) \nhandle_tx [vhost_net] (1) R   \
                    D   \ttramp: 0xffffffffc0300000 (bpf_trampoline_64+0x0/0x100)\n";
        let holders = ftrace_users(&handle_tx(), text);
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].function, "handle_tx [vhost_net]");
        assert!(holders[0].by.starts_with("1 ftrace user(s), R D tramp:"), "{}", holders[0].by);
        let refusal = refusal(&holders).to_string();
        assert!(refusal.contains("--allow-shared"), "{refusal}");
    }

    #[test]
    fn a_function_without_an_ftrace_user_is_told() {
        let root = tempfile::tempdir().unwrap();
        let target = Target { functions: vec![handle_tx()], ..Target::default() };
        let tracefs = Tracefs::at(root.path());
        assert_eq!(unheld(&target, &tracefs).unwrap(), Vec::<&Function>::new());
        let list = root.path().join("enabled_functions");
        fs::write(&list, "handle_tx_kick [vhost_net] (1)\n").unwrap();
        assert_eq!(unheld(&target, &tracefs).unwrap(), [&handle_tx()]);
        fs::write(&list, "handle_tx [vhost_net] (1) R   D\n").unwrap();
        assert_eq!(unheld(&target, &tracefs).unwrap(), Vec::<&Function>::new());
    }

    #[test]
    fn a_kprobe_is_found_by_its_address() {
        let text = "ffffffffc0100014  k  handle_tx+0x4  vhost_net [FTRACE]\nffffffffc0100090  k  \
                    handle_rx+0x0  vhost_net [FTRACE]\n";
        let holders = kprobes(&handle_tx(), text);
        assert_eq!(holders.len(), 1);
        assert_eq!(holders[0].by, "a kprobe at handle_tx+0x4 vhost_net [FTRACE]");
    }
}
