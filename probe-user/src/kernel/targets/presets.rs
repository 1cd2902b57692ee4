//! Named groups of functions, and their resolution on the running kernel. A function of one kernel
//! may be inlined in the next, so some have stand-ins, and others may be missing.

use std::fmt;

use probe_core::{
    error::{Error, Result},
    model::{
        subject::{self, Calls, Place, Subject},
        target::{Function, Target, Tracepoint},
    },
};

use super::{ambiguous, function, listed};
use crate::kernel::{arch::Architecture, kallsyms::Kallsyms};

/// A named group of functions.
#[derive(Debug)]
pub struct Preset {
    /// The name that users type.
    pub name: &'static str,
    /// A short description.
    pub summary: &'static str,
    parts: &'static [Member],
    /// The modules with its functions.
    modules: &'static [&'static str],
}

/// A member of a preset.
#[derive(Debug)]
enum Member {
    /// One of its places must exist.
    Needed(Subject),
    /// A function of this module; left out if this kernel does not have it.
    IfThere(&'static str, &'static str),
    /// A function of this module, which must exist.
    Function(&'static str, &'static str),
}

/// The resolution of a preset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What is traced.
    pub target: Target,
    /// Which function stands in for which and why, and what was left out.
    pub notes: Vec<String>,
}

const VHOST: &str = "vhost_net";

const KVM: &str = "kvm";

/// All presets, the default first.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "vhost",
        summary: "vhost-net's handlers of both directions",
        parts: &[
            Member::Needed(subject::SEND),
            Member::Needed(subject::RECEIVE),
            // In the same call, a frame that the worker takes from the ring goes through the TAP
            // and the bridge to the next device, and hits this tracepoint once.
            Member::Needed(subject::FRAME),
        ],
        modules: &[VHOST],
    },
    // Without handle_tx_kick, handle_tx_net and their counterparts of handle_rx: the reference
    // counter uses those.
    Preset {
        name: "vhost-parts",
        summary: "what vhost-net's handlers call to copy frames",
        parts: &[
            Member::Function(VHOST, "handle_tx_copy"),
            Member::Function(VHOST, "handle_tx_zerocopy"),
            Member::IfThere(VHOST, "vhost_tx_batch"),
            Member::IfThere(VHOST, "vhost_net_buf_peek"),
        ],
        modules: &[VHOST],
    },
    Preset {
        name: "kvm",
        summary: "entering a guest, and what idle virtual processors do",
        parts: &[
            Member::Needed(subject::ENTER),
            Member::Needed(subject::HALT),
            Member::IfThere(KVM, "kvm_vcpu_block"),
        ],
        modules: &[KVM],
    },
    Preset {
        name: "tun",
        summary: "the TAP's functions for both directions",
        parts: &[
            Member::IfThere("tun", "tun_sendmsg"),
            Member::IfThere("tun", "tun_get_user"),
            Member::IfThere("tun", "tun_build_skb"),
            Member::IfThere("tun", "tun_net_xmit"),
            Member::IfThere("tun", "tun_recvmsg"),
            Member::IfThere("tun", "tun_do_read"),
        ],
        modules: &["tun"],
    },
    Preset {
        name: "paper",
        summary: "the paper's four functions, in its order",
        parts: &[
            Member::Needed(subject::ENTER),
            Member::Needed(subject::HALT),
            Member::Needed(subject::SEND),
            Member::Needed(subject::RECEIVE),
        ],
        modules: &[VHOST, KVM],
    },
];

/// Why a place is not in a target.
enum Missing {
    /// This kernel does not have it, for this reason.
    Why(String),
    /// It cannot be named.
    Error(Error),
}

impl Preset {
    /// Resolves the preset on this kernel.
    ///
    /// # Errors
    /// A required function and its stand-ins are missing, nothing resolved, or a name is not
    /// unique.
    pub fn resolve(&self, symbols: &Kallsyms) -> Result<Resolved> {
        let mut resolved = Resolved::default();
        for part in self.parts {
            let function = |module, name| [Place::Function { module, name, calls: Calls::Nowhere }];
            match part {
                Member::Needed(subject) => self.add(subject.0, false, symbols, &mut resolved)?,
                Member::Function(module, name) => {
                    self.add(&function(module, name), false, symbols, &mut resolved)?;
                }
                Member::IfThere(module, name) => {
                    self.add(&function(module, name), true, symbols, &mut resolved)?;
                }
            }
        }
        let Target { functions, tracepoints, .. } = &resolved.target;
        if functions.is_empty() && tracepoints.is_empty() {
            return Err(self.missing(&resolved.notes));
        }
        Ok(resolved)
    }

    /// Adds the first of `places` that exists.
    fn add(
        &self,
        places: &[Place],
        optional: bool,
        symbols: &Kallsyms,
        to: &mut Resolved,
    ) -> Result<()> {
        let mut missing = Vec::new();
        for place in places {
            match find_place(*place, symbols) {
                Ok(found) => {
                    if !missing.is_empty() {
                        to.notes.push(format!("{} instead: {}", found.name(), missing.join("; ")));
                    }
                    found.join(&mut to.target);
                    return Ok(());
                }
                Err(Missing::Why(why)) => missing.push(why),
                Err(Missing::Error(error)) => return Err(error),
            }
        }
        if !optional {
            return Err(self.missing(&missing));
        }
        to.notes.extend(missing.into_iter().map(|why| format!("left out: {why}")));
        Ok(())
    }

    fn missing(&self, why: &[String]) -> Error {
        let mut why: Vec<&str> =
            why.iter().map(|why| why.strip_prefix("left out: ").unwrap_or(why)).collect();
        why.dedup();
        // The module to load depends on the processor, and loads this one.
        let kvm = Architecture::current().map_or(KVM, |arch| arch.kvm_modules);
        let module = |&module: &&'static str| if module == KVM { kvm } else { module };
        let modules: Vec<&str> = self.modules.iter().map(module).collect();
        let hint = format!(
            "If a module is not loaded, load it: modprobe {}{}. Otherwise name functions of the \
             modules that are in /proc/kallsyms",
            if modules.len() > 1 { "-a " } else { "" },
            modules.join(" ")
        );
        Error::unsupported(format!("target {}", self.name), why.join("; "), hint)
    }
}

impl fmt::Display for Resolved {
    /// Its functions and tracepoints, then the notes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target: Target { functions, tracepoints, .. }, notes } = self;
        let functions = functions.iter().map(Function::listed);
        let all = functions.chain(tracepoints.iter().map(ToString::to_string));
        f.write_str(&all.collect::<Vec<_>>().join(", "))?;
        notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// A place that exists.
enum Found {
    Function(Function),
    Tracepoint(Tracepoint),
}

impl Found {
    fn name(&self) -> String {
        match self {
            Self::Function(function) => function.listed(),
            Self::Tracepoint(tracepoint) => tracepoint.to_string(),
        }
    }

    /// Unless the target already has it: a function may be both a stand-in and a member.
    fn join(self, target: &mut Target) {
        match self {
            Self::Function(one) => super::add_new(&mut target.functions, vec![one]),
            Self::Tracepoint(one) => super::add_new(&mut target.tracepoints, vec![one]),
        }
    }
}

fn find_place(place: Place, symbols: &Kallsyms) -> std::result::Result<Found, Missing> {
    match place {
        Place::Function { module, name, .. } => find(module, name, symbols).map(Found::Function),
        Place::Tracepoint { module, group, name } => {
            if let Some(module) = module {
                // Every tracepoint has such a function (include/linux/tracepoint.h,
                // DEFINE_TRACE_FN).
                let probe = format!("__traceiter_{name}");
                if !symbols.has_module(module) && symbols.named(&probe).next().is_none() {
                    return Err(Missing::Why(not_loaded(module, &format!("{group}:{name}"))));
                }
            }
            Ok(Found::Tracepoint(Tracepoint { group: group.into(), name: name.into() }))
        }
    }
}

fn find(module: &str, name: &str, symbols: &Kallsyms) -> std::result::Result<Function, Missing> {
    let loaded = symbols.has_module(module).then_some(module);
    let found: Vec<_> = symbols.named(name).filter(|symbol| symbol.module == loaded).collect();
    match &found[..] {
        [symbol] => Ok(function(*symbol)),
        [] => Err(Missing::Why(match symbols.split_off(name, loaded) {
            Some(split) => format!(
                "{name} exists only as {}, which the compiler made from it with other arguments \
                 (BPF has no type for it; methods of the ftrace family can trace it by this name)",
                listed(&split)
            ),
            None => match loaded {
                None => not_loaded(module, name),
                Some(module) => format!("module {module} of this kernel has no function {name}"),
            },
        })),
        several => Err(Missing::Error(ambiguous(name, several))),
    }
}

fn not_loaded(module: &str, name: &str) -> String {
    format!("{name} is missing: module {module} is not loaded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(list: &[(&str, &str)]) -> Kallsyms {
        let line = |(at, (name, module)): (usize, &(&str, &str))| {
            format!("ffffffffc00{at:05x} t {name}\t[{module}]\n")
        };
        Kallsyms::parse(list.iter().enumerate().map(line).collect()).unwrap()
    }

    fn preset(name: &str) -> &'static Preset {
        PRESETS.iter().find(|preset| preset.name == name).unwrap()
    }

    fn names(resolved: &Resolved) -> Vec<String> {
        resolved.target.functions.iter().map(Function::listed).collect()
    }

    const HALTS: [(&str, &str); 2] = [("kvm_vcpu_halt", "kvm"), ("kvm_vcpu_block", "kvm")];

    #[test]
    fn an_inlined_function_has_a_stand_in_and_it_is_said() {
        let [halt, block] = HALTS;
        let amd = symbols(&[halt, block, ("svm_vcpu_run", "kvm_amd")]);
        let resolved = preset("kvm").resolve(&amd).unwrap();
        let expected = ["svm_vcpu_run [kvm_amd]", "kvm_vcpu_halt [kvm]", "kvm_vcpu_block [kvm]"];
        assert_eq!(names(&resolved), expected);
        assert_eq!(resolved.notes.len(), 1);
        assert!(resolved.notes[0].contains("no function vcpu_enter_guest"), "{resolved:?}");

        let better = symbols(&[halt, ("vcpu_enter_guest", "kvm"), ("vmx_vcpu_run", "kvm_intel")]);
        let resolved = preset("kvm").resolve(&better).unwrap();
        assert_eq!(names(&resolved), ["vcpu_enter_guest [kvm]", "kvm_vcpu_halt [kvm]"]);
        assert!(resolved.notes[0].starts_with("left out: module kvm"), "{resolved:?}");
    }

    #[test]
    fn what_the_compiler_renamed_is_named_with_the_reason() {
        let [halt, _] = HALTS;
        let split = [halt, ("vcpu_enter_guest.isra.0", "kvm"), ("vmx_vcpu_run", "kvm_intel")];
        let resolved = preset("kvm").resolve(&symbols(&split)).unwrap();
        assert_eq!(names(&resolved)[0], "vmx_vcpu_run [kvm_intel]");
        let note = &resolved.notes[0];
        assert!(note.contains("only as vcpu_enter_guest.isra.0 [kvm]"), "{note}");
        assert!(note.contains("BPF has no type"), "{note}");
        // A cold part is not a whole function.
        let cold = symbols(&[halt, ("vcpu_enter_guest.cold", "kvm"), ("svm_vcpu_run", "kvm_amd")]);
        let resolved = preset("kvm").resolve(&cold).unwrap();
        assert!(!resolved.notes[0].contains("cold"), "{resolved:?}");
    }

    #[test]
    fn without_any_function_a_tracepoint_remains_and_without_a_module_nothing() {
        let resolved = preset("kvm").resolve(&symbols(&HALTS)).unwrap();
        assert_eq!(resolved.target.tracepoints[0].to_string(), "kvm:kvm_entry");
        let bare = symbols(&[("handle_tx", "vhost_net"), ("handle_rx", "vhost_net")]);
        for (name, module) in [("kvm", "kvm_amd"), ("paper", "kvm_amd"), ("tun", "tun")] {
            let error = preset(name).resolve(&bare).unwrap_err().to_string();
            assert!(error.contains(&format!("module {module} is not loaded")), "{error}");
            assert!(error.contains("modprobe"), "{error}");
        }
    }

    #[test]
    fn the_papers_functions_keep_its_order_and_older_names_count() {
        let vhost = [("handle_rx", VHOST), ("handle_tx", VHOST)];
        let old = [("kvm_vcpu_block", "kvm"), ("svm_vcpu_run", "kvm_amd"), vhost[0], vhost[1]];
        let resolved = preset("paper").resolve(&symbols(&old)).unwrap();
        let functions: Vec<_> =
            resolved.target.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(functions, ["svm_vcpu_run", "kvm_vcpu_block", "handle_tx", "handle_rx"]);
    }
}
