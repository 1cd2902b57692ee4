//! `sample_stacks`: at each overflow of a perf event, finds the traced functions in the interrupted
//! kernel stack.

/// Name of the program in the object.
pub const PROGRAM: &str = "sample_stacks";

/// Name of the map of functions: [`FUNCTIONS_MAX`] of [`Function`], by address.
pub const FUNCTIONS: &str = "FUNCTIONS";
/// How many functions it can tell apart: a power of two, and one for each bit of a word.
pub const FUNCTIONS_MAX: usize = 64;

/// One function; those behind the last have the highest of addresses and no bit.
#[repr(C)]
pub struct Function {
    /// Its first address.
    pub start: u64,
    /// The first one behind it.
    pub end: u64,
    /// What tells it from the others: `1 << place`.
    pub bit: u64,
}

/// Name of the map of the stack that is being looked at, one per CPU.
pub const STACK: &str = "STACK";
/// How deep it looks: `kernel.perf_event_max_stack`, unless that was changed.
pub const DEPTH: usize = 127;

/// Name of the map of counts: an array of [`Shares`], one for each CPU number that this host can
/// have.
pub const SHARES: &str = "SHARES";

/// The samples of one CPU.
///
/// Written with plain adds: the kernel runs no two programs on perf events of one CPU at a time
/// (`bpf_prog_active`).
#[repr(C, align(128))]
pub struct Shares {
    /// All of them.
    pub samples: u64,
    /// By the functions' order in the map.
    pub functions: [Share; FUNCTIONS_MAX],
}

/// The samples of one function.
#[repr(C)]
pub struct Share {
    /// Anywhere in the stack.
    pub inclusive: u64,
    /// As the innermost frame.
    pub own: u64,
}
