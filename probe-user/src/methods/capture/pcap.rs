//! A pcap file with nanosecond times, readable by tcpdump and wireshark.
//!
//! One file for all interfaces: the frames of each are in order, those of several only nearly so.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use probe_core::error::{Error, Result};

use crate::kernel::packets::block::Frame;

/// The magic number of files with nanoseconds, in the machine's byte order.
const MAGIC: u32 = 0xa1b2_3c4d;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const LINKTYPE_ETHERNET: u32 = 1;

/// The file, and the records of the block that is being read.
#[derive(Debug)]
pub struct PcapFile {
    file: File,
    /// Its name, for errors.
    name: PathBuf,
    /// Bytes in the file, all in complete records.
    pub written: u64,
    pending: Vec<u8>,
}

impl PcapFile {
    /// Creates the file at `path` or, without one, an unnamed file in the system's temporary
    /// folder, which is removed when the process ends, in whatever way.
    ///
    /// # Errors
    /// It cannot be created or written.
    pub fn create(path: Option<&Path>, snaplen: u32) -> Result<Self> {
        let (name, file) = match path {
            Some(path) => (path.to_owned(), File::create(path)),
            None => (std::env::temp_dir(), tempfile::tempfile()),
        };
        let mut file = file.map_err(|e| Error::file("create", &name, e))?;
        let header = header(snaplen);
        file.write_all(&header).map_err(|e| Error::file("write", &name, e))?;
        Ok(Self { file, name, written: header.len() as u64, pending: Vec::new() })
    }

    /// Adds a frame's record; it is in the file after the next [`PcapFile::flush`].
    pub fn push(&mut self, frame: &Frame<'_>) {
        let [secs, nanos] = [frame.at / 1_000_000_000, frame.at % 1_000_000_000];
        // The ring's seconds also have 32 bits, and no frame has 4 GiB.
        let words = [secs as u32, nanos as u32, frame.bytes.len() as u32, frame.length];
        self.pending.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        self.pending.extend_from_slice(frame.bytes);
    }

    /// Writes the added records.
    ///
    /// # Errors
    /// The disk is full or broken. Complete records remain in the file; a partial one is cut off.
    pub fn flush(&mut self) -> Result<()> {
        let (done, outcome) = self.write_out();
        self.written += whole_records(&self.pending[..done]) as u64;
        self.pending.clear();
        outcome.map_err(|e| {
            // If the file cannot be truncated, it ends with a partial record, which readers of pcap
            // report.
            let _ = self.file.set_len(self.written);
            Error::file("write", &self.name, e)
        })
    }
}

impl PcapFile {
    /// Writes as much as possible; returns how much that was, and what stopped it.
    fn write_out(&mut self) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < self.pending.len() {
            match self.file.write(&self.pending[done..]) {
                Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => done += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return (done, Err(e)),
            }
        }
        (done, Ok(()))
    }
}

fn header(snaplen: u32) -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    let words = [MAGIC, 0, 0, 0, snaplen, LINKTYPE_ETHERNET];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    // Version 2.4; the time zone and accuracy that follow have always been zero.
    bytes[4..6].copy_from_slice(&2_u16.to_ne_bytes());
    bytes[6..8].copy_from_slice(&4_u16.to_ne_bytes());
    bytes
}

/// Length of the complete records at the start of `bytes`.
fn whole_records(bytes: &[u8]) -> usize {
    let mut whole = 0;
    while let Some(header) = bytes.get(whole..whole + RECORD_HEADER) {
        let kept = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let end = whole + RECORD_HEADER + kept;
        if end > bytes.len() {
            break;
        }
        whole = end;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_laid_out_as_libpcap_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let mut pcap = PcapFile::create(Some(&path), 128).unwrap();
        pcap.push(&Frame { at: 7_000_000_042, length: 1514, bytes: b"abc" });
        pcap.flush().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, pcap.written);
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(word(0), 0xa1b2_3c4d);
        assert_eq!(u16::from_ne_bytes([bytes[4], bytes[5]]), 2);
        assert_eq!(u16::from_ne_bytes([bytes[6], bytes[7]]), 4);
        assert_eq!((word(16), word(20)), (128, 1));
        assert_eq!([24, 28, 32, 36].map(word), [7, 42, 3, 1514]);
        assert_eq!(&bytes[40..], b"abc");
    }

    #[test]
    fn a_full_disk_is_told_and_the_rest_of_the_records_is_dropped() {
        let full = Path::new("/dev/full");
        let error = PcapFile::create(Some(full), 128).unwrap_err().to_string();
        assert!(error.contains("cannot write /dev/full") && error.contains("space"), "{error}");
    }

    #[test]
    fn only_whole_records_count() {
        let record = [[0; 4], [0; 4], 3_u32.to_ne_bytes(), [9, 0, 0, 0]].concat();
        let record = [&record[..], b"abc"].concat();
        let two = [&record[..], &record].concat();
        assert_eq!(whole_records(&two), 38);
        assert_eq!(whole_records(&two[..37]), 19);
        assert_eq!(whole_records(&two[..10]), 0);
        assert_eq!(whole_records(&[]), 0);
    }
}
