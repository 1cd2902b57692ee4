//! How long frames took, as a trial records it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer as _, V2Serializer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Times from the moment each frame was due to be sent until the sink's kernel had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Frames in the histogram.
    pub frames: u64,
    /// Frames that arrived but are not in the histogram: the observing socket had no room for them.
    pub dropped: u64,
    /// Nanoseconds: a histogram of [HdrHistogram](https://hdrhistogram.org) in its V2 encoding, not
    /// compressed, in base64.
    pub hdr_v2: String,
}

impl Latency {
    /// Makes it from times in ns.
    ///
    /// # Errors
    /// The times cannot be encoded.
    pub fn new(times: &Histogram<u64>, dropped: u64) -> Result<Self> {
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(times, &mut bytes)
            .map_err(|e| Error::malformed("a histogram", e.to_string()))?;
        Ok(Self { frames: times.len(), dropped, hdr_v2: BASE64_STANDARD.encode(bytes) })
    }

    /// The times in ns.
    ///
    /// # Errors
    /// The text is not such a histogram.
    pub fn times(&self) -> Result<Histogram<u64>> {
        let malformed = |why: String| Error::malformed("hdr_v2", why);
        let bytes = BASE64_STANDARD.decode(&self.hdr_v2).map_err(|e| malformed(e.to_string()))?;
        let times = Deserializer::new().deserialize(&mut &*bytes);
        times.map_err(|e| malformed(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_back() {
        let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        (1..=1000_u64).for_each(|time| times.record(time * 1000).unwrap());
        let kept = Latency::new(&times, 2).unwrap();
        assert_eq!((kept.frames, kept.dropped), (1000, 2));
        assert_eq!(kept.times().unwrap(), times);
        for damage in ["", "====", "AAAA"] {
            let kept = Latency { hdr_v2: damage.into(), ..kept.clone() };
            assert!(kept.times().unwrap_err().to_string().starts_with("hdr_v2"));
        }
    }
}
