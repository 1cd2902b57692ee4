//! All knowledge about the traced functions: where they are, what stands in for them on a kernel
//! that lacks them, and where their calls can be counted without touching them.

/// The function that vhost calls once for each kick of a closed-loop load (`handle_tx_kick` in
/// drivers/vhost/net.c).
pub const CALLED_PER_KICK: &str = "handle_tx";

/// The tracepoint that each frame hits once on its way from its TAP through the bridge to the cable
/// (`xmit_one` in net/core/dev.c). vhost has no tracepoint of its own.
pub const HIT_PER_FRAME: &str = "net:net_dev_xmit";

/// The module of vhost's handlers.
const VHOST: &str = "vhost_net";

/// Something that the kernel does, and the places that show it. The first place that a kernel has
/// is used.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject(pub &'static [Place]);

/// A place in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A function, in a module or built into the kernel.
    Function {
        /// The module.
        module: &'static str,
        /// Its name.
        name: &'static str,
        /// Where its calls can be counted.
        calls: Calls,
    },
    /// A tracepoint.
    Tracepoint {
        /// The module that has it; `None` for the kernel itself.
        module: Option<&'static str>,
        /// Its group.
        group: &'static str,
        /// Its name.
        name: &'static str,
    },
}

/// Where the calls of a function can be counted without touching it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// At its callers in the same module. It is entered only from them, by a tail jump at each
    /// caller's end, so that one call of a caller is one call of the function.
    Callers(&'static [&'static str]),
    /// At a tracepoint (group, name) that it hits once in each call.
    Tracepoint(&'static str, &'static str),
    /// No places are known that each of its calls hits exactly once.
    Nowhere,
}

/// vhost's worker takes frames from the guest's ring (drivers/vhost/net.c).
pub const SEND: Subject = Subject(&[Place::Function {
    module: VHOST,
    name: CALLED_PER_KICK,
    calls: Calls::Callers(&["handle_tx_kick", "handle_tx_net"]),
}]);

/// vhost's worker puts frames into the guest's ring (drivers/vhost/net.c).
pub const RECEIVE: Subject = Subject(&[Place::Function {
    module: VHOST,
    name: "handle_rx",
    calls: Calls::Callers(&["handle_rx_kick", "handle_rx_net"]),
}]);

/// A frame is passed on to the next device: see [`HIT_PER_FRAME`].
pub const FRAME: Subject =
    Subject(&[Place::Tracepoint { module: None, group: "net", name: "net_dev_xmit" }]);

/// A virtual processor runs. The compilers of Debian's kernels inline `vcpu_enter_guest` into its
/// only caller, `vcpu_run`, and that into its caller (arch/x86/kvm/x86.c). The function that enters
/// the guest is called through a pointer and never inlined: once, and again if an exit is handled
/// on the spot (`EXIT_FASTPATH_REENTER_GUEST`). `kvm_entry` is the first thing that `svm_vcpu_run`
/// does (arch/x86/kvm/svm/svm.c). `vmx_vcpu_run` does the same, unless it must emulate what the
/// processor cannot run (`emulation_required` in arch/x86/kvm/vmx/vmx.c: real mode, on processors
/// without "unrestricted guest").
pub const ENTER: Subject = Subject(&[
    Place::Function { module: "kvm", name: "vcpu_enter_guest", calls: Calls::Nowhere },
    Place::Function { module: "kvm_amd", name: "svm_vcpu_run", calls: KVM_ENTRY },
    Place::Function { module: "kvm_intel", name: "vmx_vcpu_run", calls: KVM_ENTRY },
    Place::Tracepoint { module: Some("kvm"), group: "kvm", name: "kvm_entry" },
]);

const KVM_ENTRY: Calls = Calls::Tracepoint("kvm", "kvm_entry");

/// The kernel polls for an idle virtual processor, then puts its thread to sleep. The function was
/// called `kvm_vcpu_block` before Linux 5.17; since then that name is only its second half, without
/// the polling (virt/kvm/kvm_main.c).
pub const HALT: Subject = Subject(&[
    Place::Function { module: "kvm", name: "kvm_vcpu_halt", calls: Calls::Nowhere },
    Place::Function { module: "kvm", name: "kvm_vcpu_block", calls: Calls::Nowhere },
]);

/// All subjects.
pub const SUBJECTS: [Subject; 5] = [SEND, RECEIVE, FRAME, ENTER, HALT];

impl Subject {
    /// The functions that show it, in order of preference.
    pub fn functions(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|place| match place {
            Place::Function { name, .. } => Some(*name),
            Place::Tracepoint { .. } => None,
        })
    }
}

/// Where the calls of `function` can be counted.
pub fn calls_of(function: &str) -> Calls {
    let mut places = SUBJECTS.iter().flat_map(|subject| subject.0);
    let found = places.find_map(|place| match place {
        Place::Function { name, calls, .. } if *name == function => Some(*calls),
        _ => None,
    });
    found.unwrap_or(Calls::Nowhere)
}

/// The functions whose calls can be counted somewhere.
pub fn counted() -> impl Iterator<Item = &'static str> {
    let functions = SUBJECTS.iter().flat_map(Subject::functions);
    functions.filter(|name| calls_of(name) != Calls::Nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_load_is_known_to_cause_is_in_the_table() {
        assert_eq!(SEND.functions().collect::<Vec<_>>(), [CALLED_PER_KICK]);
        let [Place::Tracepoint { group, name, .. }] = FRAME.0 else { panic!("{FRAME:?}") };
        assert_eq!(format!("{group}:{name}"), HIT_PER_FRAME);
    }

    #[test]
    fn a_function_that_may_run_a_guest_several_times_is_counted_nowhere() {
        assert_eq!(calls_of("vcpu_enter_guest"), Calls::Nowhere);
        assert_eq!(calls_of("tun_get_user"), Calls::Nowhere);
        let counted: Vec<&str> = counted().collect();
        assert_eq!(counted, ["handle_tx", "handle_rx", "svm_vcpu_run", "vmx_vcpu_run"]);
    }
}
