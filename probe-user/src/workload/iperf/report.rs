//! A client's report about its test, as JSON.
//!
//! It is written at the end. After SIGINT it has the intervals so far, like after a normal end, but
//! the client does not learn what the server received (`iperf_got_sigend` in src/iperf_api.c,
//! 3.12). The exit status is of no use: with `-J`, it is 0 even if the test failed.

use std::time::Duration;

use serde::{Deserialize, de::IgnoredAny};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

/// The start of the error that iperf3 writes when a signal ended it (`iperf_got_sigend` in
/// src/iperf_api.c); since 3.19 the signal's name and number follow.
const ENDED_BY_SIGNAL: &str = "interrupt";

/// A client's report about its test.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Intervals of the test in order, without one that a signal cut short. Each starts where the
    /// preceding one ends, or later: since 3.18, a client that has to wait for the CPU sometimes
    /// omits one.
    pub intervals: Vec<Interval>,
    /// Bytes that the client sent.
    pub sent: u64,
    /// Bytes that the server read, as it reported; `None` if a signal ended the test.
    pub received: Option<u64>,
}

/// An interval of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Its start, in seconds since the test's start.
    pub start: f64,
    /// Its end, in seconds since the test's start.
    pub end: f64,
    /// Bytes sent in it.
    pub bytes: u64,
    /// Bits per second sent in it.
    pub bits_per_second: f64,
    /// The kernel's smoothed round-trip time at its end, in µs; `None` if the client's kernel does
    /// not report it.
    #[doc(alias = "tcpi_rtt")]
    pub rtt: Option<f64>,
    /// Segments retransmitted in it.
    pub retransmits: Option<u64>,
}

impl Report {
    /// The round-trip times in µs with their times, given when the test ended: iperf3 itself only
    /// reports the time of day of its start, in whole seconds.
    fn rtt(&self, ended: Nanos) -> Vec<(Nanos, f64)> {
        let last = self.intervals.last().map_or(0.0, |interval| interval.end);
        let before = |end: f64| Duration::try_from_secs_f64(last - end).unwrap_or_default();
        let at = |end| Nanos(ended.0.saturating_sub(before(end).as_nanos() as u64));
        self.intervals.iter().filter_map(|i| Some((at(i.end), i.rtt?))).collect()
    }
}

/// The round-trip times in µs with their times, from the output of a client that was asked to end
/// at `ended`. A client that was asked before it could react wrote nothing.
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

/// Parses a client's output. A client that a signal ended before its test started sent nothing, in
/// no intervals.
///
/// # Errors
/// It says that the test failed (and why), or is not a report of iperf3.
pub fn parse(json: &str) -> Result<Report> {
    let said: Said = serde_json::from_str(json).map_err(|e| {
        let start: String = json.trim().chars().take(200).collect();
        Error::malformed("what iperf3 wrote", format!("{e}: `{start}`"))
    })?;
    let failed = |error: &&str| !error.starts_with(ENDED_BY_SIGNAL);
    if let Some(error) = said.error.as_deref().filter(failed) {
        return Err(Error::Inconsistent(format!("iperf3: {error}")));
    }
    let finished = said.error.is_none();
    let End { sum_sent: Some(sent), sum_received } = said.end else {
        return Err(Error::malformed("what iperf3 wrote", "it lacks the end of a TCP test"));
    };
    let received = sum_received.filter(|_| finished).map(|sum| sum.bytes);
    let intervals = said.intervals.into_iter().filter_map(SaidInterval::interval).collect();
    Ok(Report { intervals, sent: sent.bytes, received })
}

/// Whether a client said that its server rejected its test, because it was busy with the end of the
/// last one or not listening yet.
pub fn turned_away(words: &str) -> bool {
    let said = serde_json::from_str(words);
    said.is_ok_and(|Said { start, error, .. }| {
        let why = error.unwrap_or_default();
        start.test_start.is_none() && (why.contains("busy") || why.contains("refused"))
    })
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    start: Start,
    #[serde(default)]
    intervals: Vec<SaidInterval>,
    #[serde(default)]
    end: End,
    error: Option<String>,
}

/// If a signal arrives while iperf3 writes one of these, it remains incomplete: iperf3 jumps from
/// the handler to its end (`sigend_handler` in src/main.c).
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
struct Start {
    /// The test's parameters, once both sides have started it.
    test_start: Option<IgnoredAny>,
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
    /// `None` for one that is incomplete.
    fn interval(self) -> Option<Interval> {
        let Sum { start, end, bytes, bits_per_second, retransmits } = self.sum?;
        // Our clients have one stream.
        let rtt = self.streams.first().and_then(|stream| stream.rtt);
        Some(Interval { start, end, bytes, bits_per_second, rtt, retransmits })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// A folder per version, see tests/data/iperf/README.md.
    fn versions() -> Vec<PathBuf> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/iperf");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        assert!(found.len() >= 3, "{found:?}");
        found
    }

    /// What each version wrote.
    fn recorded(name: &str) -> Vec<String> {
        let file = |version: &PathBuf| version.join(format!("{name}.json"));
        versions().iter().map(|version| fs::read_to_string(file(version)).unwrap()).collect()
    }

    /// Both signals that end a client.
    fn interrupted() -> Vec<String> {
        [recorded("interrupted-int"), recorded("interrupted-term")].concat()
    }

    #[test]
    fn a_finished_test_tells_what_the_server_received() {
        for words in recorded("finished") {
            let report = parse(&words).unwrap();
            assert_eq!(report.intervals.len(), 2);
            let sum: u64 = report.intervals.iter().map(|interval| interval.bytes).sum();
            assert!(0 < sum && sum <= report.sent, "{sum} of {}", report.sent);
            let received = report.received.unwrap();
            assert!(0 < received && received <= report.sent, "{received} of {}", report.sent);
        }
    }

    #[test]
    fn an_interrupted_test_has_all_its_intervals() {
        for words in recorded("early") {
            let early = parse(&words).unwrap();
            assert_eq!(early, Report { intervals: vec![], sent: 0, received: None });
        }
        for words in interrupted() {
            let report = parse(&words).unwrap();
            assert!((4..=6).contains(&report.intervals.len()) && report.received.is_none());
            for pair in report.intervals.windows(2) {
                assert!(pair[0].end <= pair[1].start, "{pair:?}");
            }
            let Interval { start, end, bytes, bits_per_second, rtt, retransmits } =
                report.intervals[0];
            let by_rate = bits_per_second * (end - start) / 8.0;
            assert!((by_rate - bytes as f64).abs() < bytes as f64 * 1e-4);
            assert!(start == 0.0 && rtt.is_some() && retransmits.is_some());
        }
    }

    #[test]
    fn an_interval_that_the_signal_cut_short_is_left_out() {
        for whole in interrupted() {
            let mut said: serde_json::Value = serde_json::from_str(&whole).unwrap();
            let intervals = said["intervals"].as_array_mut().unwrap();
            let mut cut = intervals[3].clone();
            cut.as_object_mut().unwrap().remove("sum");
            intervals.insert(3, cut);
            intervals.insert(3, serde_json::json!({}));
            assert_eq!(parse(&said.to_string()).unwrap(), parse(&whole).unwrap());
        }
    }

    #[test]
    fn round_trip_times_are_dated_from_the_end() {
        let ended = Nanos(10_000_000_000);
        for words in interrupted() {
            let report = parse(&words).unwrap();
            let rtt = report.rtt(ended);
            assert_eq!(rtt.len(), report.intervals.len());
            let last = rtt.len() - 1;
            assert_eq!(rtt[last].0, ended);
            let apart = report.intervals[last].end - report.intervals[0].end;
            assert!((ended.since(rtt[0].0).as_secs() - apart).abs() < 1e-6);
            assert_eq!(Some(rtt[2].1), report.intervals[2].rtt);
            assert_eq!(super::rtt(&words, ended).unwrap(), rtt);
        }
        assert_eq!(rtt("\n", ended).unwrap(), []);
        for words in recorded("refused") {
            rtt(&words, ended).unwrap_err();
        }
    }

    #[test]
    fn a_failed_test_says_why() {
        for (name, why) in [
            ("refused", "Connection refused"),
            ("busy", "busy running a test"),
            ("server-ended", "the server has terminated"),
        ] {
            for words in recorded(name) {
                let error = parse(&words).unwrap_err().to_string();
                assert!(error.starts_with("iperf3: ") && error.contains(why), "{error}");
            }
        }
        for nothing in ["", "iperf3: command not found", "{}", r#"{"intervals": [], "end": {}}"#] {
            assert!(parse(nothing).unwrap_err().to_string().starts_with("what iperf3 wrote"));
        }
        // A signal that arrives before there is anything to summarize.
        let nothing =
            r#"{"end": {}, "error": "interrupt - the client has terminated by signal X(1)"}"#;
        assert!(parse(nothing).unwrap_err().to_string().starts_with("what iperf3 wrote"));
    }

    #[test]
    fn only_a_test_that_never_began_was_turned_away() {
        for name in ["refused", "busy"] {
            assert!(recorded(name).iter().all(|words| turned_away(words)), "{name}");
        }
        for name in ["finished", "early", "interrupted-int", "server-ended"] {
            assert!(!recorded(name).iter().any(|words| turned_away(words)), "{name}");
        }
        assert!(!turned_away("") && !turned_away("Connection refused"));
    }
}
