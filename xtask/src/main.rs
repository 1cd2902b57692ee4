//! Everything a developer types: run, test, bench, ebpf, vm.

fn main() {}
