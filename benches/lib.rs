//! Benches of decoders, ring driver and analysis: `cargo bench`, on any machine, without root.
