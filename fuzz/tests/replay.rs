//! Runs every kept input, on every toolchain.

use tracetoll_fuzz::{TARGETS, corpus};

#[test]
fn every_target_stands_its_corpus() {
    for (name, target) in TARGETS {
        let inputs = corpus::inputs(name).unwrap();
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for (_, bytes) in inputs {
            target(&bytes);
            // Truncated anywhere, it is another input.
            for length in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
                target(&bytes[..length]);
            }
        }
    }
}

#[test]
fn the_corpus_has_no_folder_without_a_target() {
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{}", name.display());
    }
}

#[test]
fn hex_is_read_back() {
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(corpus::from_hex(&corpus::to_hex(&bytes)).unwrap(), bytes);
    assert!(corpus::from_hex("abc").is_err() && corpus::from_hex("zz").is_err());
}
