//! Ring-buffer pages of real kernels (`data/pages/README.md`). The fuzz targets, and tests and
//! benches of other crates include this file.

use std::{fs, path::PathBuf};

/// A recording from one kernel.
pub(crate) struct Golden(pub(crate) PathBuf);

impl Golden {
    /// All recordings, the oldest kernel's first. There is one per folder.
    pub(crate) fn all() -> Vec<Self> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/pages");
        let entries = fs::read_dir(folder).expect(folder).map(|entry| entry.expect(folder).path());
        let mut all: Vec<Self> = entries.filter(|path| path.is_dir()).map(Self).collect();
        all.sort_by_key(|golden| {
            let numbers =
                golden.name().split('.').map(|number| number.parse::<u32>().expect("a series"));
            numbers.collect::<Vec<_>>()
        });
        all
    }

    /// The name of its folder: the kernel's series, if it comes from [`Self::all`].
    pub(crate) fn name(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).expect("a folder's name")
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).expect("test data are part of the repository")
    }

    pub(crate) fn pages(&self) -> Vec<u8> {
        let text = self.text("pages.hex");
        let digits: Vec<u8> =
            text.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }
}
