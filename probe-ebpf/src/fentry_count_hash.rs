//! `fentry_count_hash`: counts in a per-CPU hash, by the address of the function.
//!
//! If the hash does not accept a first call, it is counted in [`crate::losses`].

/// Name of the program in the object.
pub const PROGRAM: &str = "fentry_count_hash";

/// Name of its map: a per-CPU hash from a function's address to the calls of each CPU, both `u64`.
pub const CALLS: &str = "HASHED_CALLS";
