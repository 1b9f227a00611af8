#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| unthrottle_hostile::check("memory", input));
