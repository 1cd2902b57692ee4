//! Extracts the kernel's own ELF file from a bzImage. QEMU starts it at its PVH entry: no real-mode
//! code, nothing to unpack (Documentation/arch/x86/boot.rst).

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Read;
use std::path::Path;

/// `setup_sects`: how many sectors of 512 bytes precede the protected-mode code, not counting the
/// first.
const SETUP_SECTS: usize = 0x1f1;
/// `header`: "HdrS".
const HEADER: usize = 0x202;
/// `version`: `payload_offset` and `payload_length` exist from 2.08 on.
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// Extracts the vmlinux in `image` to `path`.
pub(crate) fn unpack(image: &Path, path: &Path) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let payload = payload(&bytes).with_context(|| {
        format!("{} is not a bzImage of protocol 2.08 or later", image.display())
    })?;
    let kernel = plain(payload).with_context(|| format!("cannot unpack {}", image.display()))?;
    if !kernel.starts_with(b"\x7fELF") {
        bail!("{} holds no ELF file", image.display());
    }
    fs::write(path, kernel).with_context(|| format!("cannot write {}", path.display()))
}

/// The compressed kernel.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(*image.get(at..)?.first_chunk()?) as usize);
    let version = u16::from_le_bytes(*image.get(VERSION..)?.first_chunk()?);
    if image.get(HEADER..)?.first_chunk()? != b"HdrS" || version < 0x208 {
        return None;
    }
    let code = (usize::from(*image.get(SETUP_SECTS)?) + 1) * 512;
    let from = code + word(PAYLOAD_OFFSET)?;
    image.get(from..from.checked_add(word(PAYLOAD_LENGTH)?)?)
}

/// The packed data is followed by its unpacked length in four bytes (scripts/Makefile.lib,
/// size_append), for xz and zstd alike; the decoders stop before it.
fn plain(payload: &[u8]) -> Result<Vec<u8>> {
    let mut kernel = Vec::new();
    match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ruzstd::decoding::StreamingDecoder::new(payload)?.read_to_end(&mut kernel)?
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            lzma_rust2::XzReader::new(payload, false).read_to_end(&mut kernel)?
        }
        _ => bail!("only kernels packed by zstd or xz are supported"),
    };
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 0x600];
        image[SETUP_SECTS] = 1;
        image[HEADER..HEADER + 4].copy_from_slice(b"HdrS");
        image[VERSION..VERSION + 2].copy_from_slice(&0x20f_u16.to_le_bytes());
        image[PAYLOAD_OFFSET..PAYLOAD_OFFSET + 4].copy_from_slice(&0x10_u32.to_le_bytes());
        image[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&3_u32.to_le_bytes());
        image[0x410..0x413].copy_from_slice(b"abc");
        assert_eq!(payload(&image), Some(&b"abc"[..]));
        image[PAYLOAD_LENGTH + 3] = 0xff;
        assert_eq!(payload(&image), None);
        assert_eq!(payload(b"MZ"), None);
    }
}
