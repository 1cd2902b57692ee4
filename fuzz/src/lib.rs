//! What the decoders, and the readers of people's own input, must stand: any bytes at all.
//!
//! Each target is a plain function of bytes that panics where a decoder breaks its word. The same
//! functions serve the coverage-guided fuzzer in `libfuzzer/`, which runs long and by hand, and the
//! replay of the corpus, which is a test on the stable toolchain.

pub mod corpus;
mod inputs;
pub mod mutate;
#[path = "../../tests/pages.rs"]
mod pages;
mod targets;

/// A target: it takes any bytes, and panics where a decoder is wrong.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("btf", targets::btf),
    ("ftrace_format", targets::ftrace_format),
    ("ftrace_page", targets::ftrace_page),
    ("journal", inputs::journal),
    ("kallsyms", targets::kallsyms),
    ("method", inputs::method),
    ("packet_block", targets::packet_block),
    ("perf_ring", targets::perf_ring),
    ("scenario", inputs::scenario),
    ("words", inputs::words),
];

/// Runs the target of this name.
///
/// # Panics
/// There is none, or the decoder breaks its word.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data);
}
