//! What decoders, and readers of people's input, must withstand: any bytes at all.
//!
//! Each target is a plain function of bytes that panics if a decoder is wrong. The same functions
//! are used by the coverage-guided fuzzer in `libfuzzer/`, which runs long and by hand, and by the
//! replay of the corpus, which is a test on the stable toolchain.

pub mod corpus;
mod inputs;
pub mod mutate;
#[path = "../../tests/pages.rs"]
mod pages;
mod targets;

/// A target: it accepts any bytes, and panics if a decoder is wrong.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("btf", targets::btf),
    ("ftrace_format", targets::ftrace_format),
    ("ftrace_page", targets::ftrace_page),
    ("journal", inputs::journal),
    ("counters", targets::counters),
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
/// There is none, or the decoder is wrong.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data);
}
