//! `sample_stacks`: at each overflow of a perf event, looks for the traced functions in the
//! interrupted kernel stack.

/// Name of the program in the object.
pub const PROGRAM: &str = "sample_stacks";

/// Name of the map of functions: [`FUNCTIONS_MAX`] of [`Function`], by address.
pub const FUNCTIONS: &str = "FUNCTIONS";
/// Number of functions that it can distinguish: a power of two, and one for each bit of a word.
pub const FUNCTIONS_MAX: usize = 64;

/// A function; unused entries at the end have the highest addresses and no bit.
#[repr(C)]
pub struct Function {
    /// Its first address.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
    /// Identifies it: `1 << place`.
    pub bit: u64,
}

/// Name of the map of the stack that is being examined, one per CPU.
pub const STACK: &str = "STACK";
/// Greatest depth: the default of `kernel.perf_event_max_stack`.
pub const DEPTH: usize = 127;

/// Name of the map of counts: an array of [`Shares`], one per possible CPU number of this host.
pub const SHARES: &str = "SHARES";

/// The samples of one CPU.
///
/// Written with plain adds: the kernel does not run two programs on perf events of one CPU at the
/// same time (`bpf_prog_active`).
#[repr(C, align(128))]
pub struct Shares {
    /// All samples.
    pub samples: u64,
    /// Samples by function, in the map's order.
    pub functions: [Share; FUNCTIONS_MAX],
}

/// The samples of one function.
#[repr(C)]
pub struct Share {
    /// Samples with it anywhere in the stack.
    pub inclusive: u64,
    /// Samples with it as the innermost frame.
    pub own: u64,
}
