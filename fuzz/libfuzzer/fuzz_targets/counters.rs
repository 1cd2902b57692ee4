#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tracetoll_fuzz::run("counters", data));
