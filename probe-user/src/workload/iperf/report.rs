//! What a client says of its test, as JSON.
//!
//! It says it all when it ends. On SIGINT it ends as well as after its time, with the intervals until then, only that it
//! does not learn what the server received (`iperf_got_sigend` in src/iperf_api.c, 3.12). Its exit status tells nothing
//! here: with `-J`, it is 0 for a test that failed, too.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    error::{Error, Result},
    model::units::Nanos,
};

/// What iperf3 writes as its error when a signal ended it.
const ENDED_BY_SIGNAL: &str = "interrupt - the client has terminated";

/// What a client says of its test.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Stretches of the test in order, each right behind the one before, without one that a signal cut short.
    pub intervals: Vec<Interval>,
    /// Bytes that the client sent.
    pub sent: u64,
    /// Bytes that the server read, as it told; none where a signal ended the test.
    pub received: Option<u64>,
}

/// A stretch of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its beginning, in seconds since the test's.
    pub start: f64,
    /// Its end, in seconds since the test's beginning.
    pub end: f64,
    /// Bytes sent in it.
    pub bytes: u64,
    /// Bits per second sent in it.
    pub bits_per_second: f64,
    /// The kernel's smoothed round-trip time at its end, in µs; none where the client's kernel tells none.
    #[doc(alias = "tcpi_rtt")]
    pub rtt: Option<f64>,
    /// Segments sent again in it.
    pub retransmits: Option<u64>,
}

impl Report {
    /// The round-trip times in µs and when each was taken, given when the test ended: iperf3 itself tells the time of day of
    /// its beginning, and that in whole seconds.
    fn rtt(&self, ended: Nanos) -> Vec<(Nanos, f64)> {
        let last = self.intervals.last().map_or(0.0, |interval| interval.end);
        let before = |end: f64| Duration::try_from_secs_f64(last - end).unwrap_or_default();
        let at = |end| Nanos(ended.0.saturating_sub(before(end).as_nanos() as u64));
        self.intervals.iter().filter_map(|i| Some((at(i.end), i.rtt?))).collect()
    }
}

/// The round-trip times in µs, and when each was taken, of what a client wrote that was told to end at `ended`. One that was
/// told before it could listen wrote nothing.
///
/// # Errors
/// As [`parse`].
pub fn rtt(words: &str, ended: Nanos) -> Result<Vec<(Nanos, f64)>> {
    if words.trim().is_empty() {
        log::warn!("an iperf3 client ended without a report");
        return Ok(Vec::new());
    }
    parse(words).map(|report| report.rtt(ended))
}

/// Reads what a client wrote. One that a signal ended before its test began sent nothing, in no intervals.
///
/// # Errors
/// It says that the test failed (and why), or is no report of iperf3.
pub fn parse(json: &str) -> Result<Report> {
    let said: Said = serde_json::from_str(json).map_err(|e| {
        let start: String = json.trim().chars().take(200).collect();
        Error::malformed("what iperf3 wrote", format!("{e}: `{start}`"))
    })?;
    if let Some(error) = said.error.as_deref().filter(|&error| error != ENDED_BY_SIGNAL) {
        return Err(Error::Untrue(format!("iperf3: {error}")));
    }
    let finished = said.error.is_none();
    let End { sum_sent: Some(sent), sum_received } = said.end else {
        return Err(Error::malformed("what iperf3 wrote", "the end of a TCP test is not in it"));
    };
    let received = sum_received.filter(|_| finished).map(|sum| sum.bytes);
    let intervals = said.intervals.into_iter().filter_map(SaidInterval::interval).collect();
    Ok(Report { intervals, sent: sent.bytes, received })
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    intervals: Vec<SaidInterval>,
    #[serde(default)]
    end: End,
    error: Option<String>,
}

/// A signal that comes while iperf3 writes one of these down leaves it as it is at the moment: iperf3 jumps out of the
/// handler to its end (`sigend_handler` in src/main.c).
#[derive(Deserialize)]
struct SaidInterval {
    #[serde(default)]
    streams: Vec<Stream>,
    sum: Option<Sum>,
}

#[derive(Deserialize)]
struct Stream {
    rtt: Option<f64>,
}

#[derive(Deserialize)]
struct Sum {
    start: f64,
    end: f64,
    bytes: u64,
    bits_per_second: f64,
    retransmits: Option<u64>,
}

#[derive(Deserialize, Default)]
struct End {
    sum_sent: Option<Total>,
    sum_received: Option<Total>,
}

#[derive(Deserialize)]
struct Total {
    bytes: u64,
}

impl SaidInterval {
    /// None of one that was not written to its end.
    fn interval(self) -> Option<Interval> {
        let Sum { start, end, bytes, bits_per_second, retransmits } = self.sum?;
        // Our clients have one stream.
        let rtt = self.streams.first().and_then(|stream| stream.rtt);
        Some(Interval { start, end, bytes, bits_per_second, rtt, retransmits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See tests/data/iperf/README.md.
    fn recorded(name: &str) -> String {
        let file = format!("{}/../tests/data/iperf/{name}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn a_finished_test_tells_what_the_server_received() {
        let report = parse(&recorded("finished")).unwrap();
        assert_eq!(report.intervals.len(), 2);
        let sum: u64 = report.intervals.iter().map(|interval| interval.bytes).sum();
        assert_eq!(sum, report.sent);
        assert!(report.received.is_some_and(|received| 0 < received && received <= report.sent));
    }

    #[test]
    fn an_interrupted_test_has_all_its_intervals() {
        let early = parse(&recorded("early")).unwrap();
        assert_eq!(early, Report { intervals: vec![], sent: 0, received: None });
        let report = parse(&recorded("interrupted")).unwrap();
        assert_eq!((report.intervals.len(), report.received), (6, None));
        for pair in report.intervals.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
        }
        let Interval { start, end, bytes, bits_per_second, rtt, retransmits } = report.intervals[0];
        assert!((bits_per_second * (end - start) / 8.0 - bytes as f64).abs() < bytes as f64 * 1e-4);
        assert!(start == 0.0 && rtt.is_some() && retransmits.is_some());
    }

    #[test]
    fn an_interval_that_the_signal_cut_short_is_left_out() {
        let whole = recorded("interrupted");
        let mut said: serde_json::Value = serde_json::from_str(&whole).unwrap();
        let intervals = said["intervals"].as_array_mut().unwrap();
        let mut cut = intervals[5].clone();
        cut.as_object_mut().unwrap().remove("sum");
        intervals.insert(5, cut);
        intervals.insert(5, serde_json::json!({}));
        assert_eq!(parse(&said.to_string()).unwrap(), parse(&whole).unwrap());
    }

    #[test]
    fn round_trip_times_are_dated_from_the_end() {
        let report = parse(&recorded("interrupted")).unwrap();
        let ended = Nanos(10_000_000_000);
        let rtt = report.rtt(ended);
        assert_eq!(rtt.len(), 6);
        assert_eq!(rtt[5].0, ended);
        let apart = report.intervals[5].end - report.intervals[0].end;
        assert!((ended.since(rtt[0].0).as_secs() - apart).abs() < 1e-6);
        assert_eq!(Some(rtt[2].1), report.intervals[2].rtt);
        assert_eq!(super::rtt(&recorded("interrupted"), ended).unwrap(), rtt);
        assert_eq!(super::rtt("\n", ended).unwrap(), []);
        super::rtt(&recorded("refused"), ended).unwrap_err();
    }

    #[test]
    fn a_failed_test_says_why() {
        let refused = parse(&recorded("refused")).unwrap_err().to_string();
        assert_eq!(refused, "iperf3: unable to connect to server: Connection refused");
        let busy = parse(&recorded("busy")).unwrap_err().to_string();
        assert!(busy.contains("busy running a test"), "{busy}");
        for nothing in ["", "iperf3: command not found", "{}", r#"{"intervals": [], "end": {}}"#] {
            assert!(parse(nothing).unwrap_err().to_string().starts_with("what iperf3 wrote"));
        }
    }
}
