//! Parse, call, print the error chain, exit.

fn main() {}
