//! The line to a guest: it receives orders and sends words (the other end is the image's
//! `probe-vm/src/image/orders.sh`).
//!
//! Orders do not wait for their answers, since they are given during a trial. Words are read when
//! there is time, and an answer that is late is then an error.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use crate::kernel::clock;

/// How long a guest may take to answer: its processors may have to wait for many others.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// How often it is checked whether the user wants to end, while waiting for a guest.
const LOOK: Duration = Duration::from_millis(100);

/// How often a guest is asked for the time: the quickest answer is the most accurate.
const ASKED: u32 = 4;

/// The orders to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Configure the network card: own address with its prefix, the other side's address and its
    /// MAC.
    Address(String, String, String),
    /// Start an iperf3 client with this command line, which connects to this port.
    Send(u16, Vec<String>),
    /// End it, and send its report.
    Quiet,
    /// From now on, run this number of `yes`.
    Hogs(usize),
}

impl Order {
    fn line(&self) -> String {
        match self {
            Self::Address(own, peer, mac) => format!("address {own} {peer} {mac}\n"),
            Self::Send(port, words) => format!("send {port} {}\n", words.join(" ")),
            Self::Quiet => "quiet\n".into(),
            Self::Hogs(count) => format!("hogs {count}\n"),
        }
    }

    /// The guest's answer when it has done that.
    fn answer(&self) -> &'static str {
        match self {
            Self::Address(..) | Self::Hogs(_) => "done",
            Self::Send(..) => "sending",
            Self::Quiet => "report",
        }
    }
}

/// The host's end.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    unread: Vec<u8>,
    awaited: VecDeque<(Order, Instant)>,
    reports: Vec<Report>,
    /// The value of our clock when the guest's was zero.
    began: Option<i64>,
    /// Set once the user wants to end: then nothing is waited for any more.
    interrupted: Arc<AtomicBool>,
}

/// The output of a client that was asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// When that was, by our clock.
    pub(super) ended: Nanos,
    /// Empty if there was no client any more.
    pub(super) words: String,
}

/// A message from a guest.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Line(String),
    /// The value of the guest's clock.
    Clock(Nanos),
    /// When a client was asked to end, by the guest's clock, and its output.
    Report(Nanos, String),
}

impl Channel {
    pub(super) fn new(stream: UnixStream, interrupted: Arc<AtomicBool>) -> Self {
        let (unread, awaited, reports) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { stream, unread, awaited, reports, began: None, interrupted }
    }

    /// Waits until the guest has booted.
    ///
    /// # Errors
    /// It has not by `end`, or has ended, or has no iperf3; the user ends the run.
    pub(super) fn await_ready(&mut self, end: Instant) -> Result<()> {
        match self.word(end)? {
            Some(Word::Line(line)) if line == "ready" => Ok(()),
            Some(Word::Line(line)) if line == "ready without iperf3" => Err(Error::unsupported(
                "the guest image",
                "there is no iperf3 in it",
                "`tracetoll run --install` without --guest-image builds one",
            )),
            Some(other) => Err(unexpected(&other)),
            None => Err(Error::Inconsistent("it has not booted in time".into())),
        }
    }

    /// Measures the offset between the guest's clock and ours, while nothing else is asked of it:
    /// to half of the quickest answer's time, and to a hundredth of a second, which is the guest's
    /// resolution.
    /// # Errors
    /// As [`Channel::settle`].
    pub(super) fn learn_clock(&mut self) -> Result<()> {
        let mut quickest = Nanos(u64::MAX);
        for _ in 0..ASKED {
            let asked = clock::now();
            self.say("clock\n")?;
            let word = self.word(Instant::now() + ANSWERS_WITHIN)?;
            let took = clock::now().since(asked);
            match word.ok_or_else(|| late("clock"))? {
                Word::Clock(_) if took >= quickest => {}
                Word::Clock(uptime) => {
                    quickest = took;
                    self.began = Some((asked.0 + took.0 / 2).wrapping_sub(uptime.0) as i64);
                }
                other => return Err(unexpected(&other)),
            }
        }
        log::debug!("the clock of a guest is known to {quickest:?}");
        Ok(())
    }

    /// Sends an order, without waiting.
    ///
    /// # Errors
    /// The guest has ended.
    pub(super) fn order(&mut self, order: Order) -> Result<()> {
        self.say(&order.line())?;
        self.awaited.push_back((order, Instant::now()));
        Ok(())
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    /// The guest has ended or failed, something in it ended by itself, or an answer is overdue.
    pub(super) fn check(&mut self) -> Result<()> {
        while let Some(word) = self.word(Instant::now())? {
            self.take(word)?;
        }
        match self.awaited.front() {
            Some((order, since)) if since.elapsed() > ANSWERS_WITHIN => Err(late(&order.line())),
            _ => Ok(()),
        }
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// As [`Channel::check`].
    pub(super) fn settle(&mut self) -> Result<()> {
        while let Some((order, since)) = self.awaited.front() {
            let (order, limit) = (order.clone(), *since + ANSWERS_WITHIN);
            let word = self.word(limit)?.ok_or_else(|| late(&order.line()))?;
            self.take(word)?;
        }
        Ok(())
    }

    /// The reports that have arrived since the last call.
    pub(super) fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.stream.write_all(line.as_bytes()).map_err(gone)
    }

    fn take(&mut self, word: Word) -> Result<()> {
        let answer = self.awaited.front().map(|(order, _)| order.answer());
        match (word, answer) {
            (Word::Line(line), Some(answer)) if line == answer => {}
            (Word::Report(uptime, words), Some("report")) => {
                let began =
                    self.began.ok_or_else(|| Error::Inconsistent("its clock is unknown".into()))?;
                let ended = Nanos(uptime.0.saturating_add_signed(began));
                self.reports.push(Report { ended, words });
            }
            (other, _) => return Err(unexpected(&other)),
        }
        self.awaited.pop_front();
        Ok(())
    }

    /// The next word; `None` if it has not arrived by then. What has already arrived is always
    /// returned.
    ///
    /// # Errors
    /// The guest has ended, or says something unexpected; the user ends the run.
    fn word(&mut self, until: Instant) -> Result<Option<Word>> {
        loop {
            if let Some(word) = cut(&mut self.unread)? {
                return Ok(Some(word));
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let left = until.saturating_duration_since(Instant::now());
            // A timeout of zero would mean no timeout.
            let timeout = left.clamp(Duration::from_micros(1), LOOK);
            self.stream.set_read_timeout(Some(timeout)).map_err(gone)?;
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(gone(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && left.is_zero() => {
                    return Ok(None);
                }
                Err(e) if is_passing(e.kind()) => {}
                Err(e) => return Err(gone(e)),
            }
        }
    }
}

fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Takes the first word off `unread`, if it is complete.
fn cut(unread: &mut Vec<u8>) -> Result<Option<Word>> {
    let Some(end) = unread.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let line = String::from_utf8_lossy(&unread[..end]).into_owned();
    let wrong = || Error::malformed("what the guest said", format!("`{line}`"));
    let (word, length) = match line.split(' ').collect::<Vec<_>>()[..] {
        ["clock", uptime] => (Word::Clock(seconds(uptime).ok_or_else(wrong)?), 0),
        ["report", length, uptime] => {
            let length: usize = length.parse().map_err(|_| wrong())?;
            let ends = (end + 1).checked_add(length).ok_or_else(wrong)?;
            let Some(words) = unread.get(end + 1..ends) else { return Ok(None) };
            let words = String::from_utf8_lossy(words).into_owned();
            (Word::Report(seconds(uptime).ok_or_else(wrong)?, words), length)
        }
        _ => (Word::Line(line), 0),
    };
    unread.drain(..end + 1 + length);
    Ok(Some(word))
}

/// In the format of /proc/uptime.
fn seconds(text: &str) -> Option<Nanos> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(Nanos::from)
}

fn gone(error: io::Error) -> Error {
    Error::call("read", "the guest's control port", error)
}

fn late(order: &str) -> Error {
    Error::Inconsistent(format!("no answer to `{}` within {ANSWERS_WITHIN:?}", order.trim_end()))
}

fn unexpected(word: &Word) -> Error {
    match word {
        Word::Line(line) => Error::Inconsistent(format!("it says: {line}")),
        Word::Clock(_) => Error::Inconsistent("it reported the time without being asked".into()),
        Word::Report(..) => Error::Inconsistent("it sent a report without being asked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours, Arc::default()), theirs)
    }

    fn forever() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[test]
    fn answers_belong_to_orders_in_their_order_and_a_report_may_come_in_pieces() {
        let (mut channel, mut guest) = pair();
        channel.began = Some(-1_000_000_000);
        channel.order(Order::Hogs(2)).unwrap();
        channel.order(Order::Quiet).unwrap();
        guest.write_all(b"done\nreport 11 7.25\n{\"a\":").unwrap();
        channel.check().unwrap();
        assert!(channel.reports().is_empty());
        guest.write_all(b"\n\"b\n\"}").unwrap();
        channel.settle().unwrap();
        let words = "{\"a\":\n\"b\n\"}".to_owned();
        assert_eq!(channel.reports(), [Report { ended: Nanos(6_250_000_000), words }]);
        let mut said = [0; 13];
        guest.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hogs 2\nquiet\n");
    }

    #[test]
    fn what_was_not_asked_for_is_an_error_that_says_it() {
        let (mut channel, mut guest) = pair();
        channel.check().unwrap();
        guest.write_all(b"ended client1 1\n").unwrap();
        let error = channel.check().unwrap_err().to_string();
        assert!(error.contains("ended client1 1"), "{error}");
        for unasked in ["report 1 0.5\nx", "clock 1.5\n", "report x 0.5\n", "clock never\n"] {
            let (mut channel, mut guest) = pair();
            guest.write_all(unasked.as_bytes()).unwrap();
            channel.check().unwrap_err();
        }
    }

    #[test]
    fn an_end_is_an_error() {
        let (mut channel, guest) = pair();
        drop(guest);
        channel.check().unwrap_err();
        channel.learn_clock().unwrap_err();
        channel.await_ready(forever()).unwrap_err();
    }

    #[test]
    fn who_is_late_or_no_longer_waited_for_is_told_apart() {
        let (mut channel, _guest) = pair();
        let late = channel.await_ready(Instant::now()).unwrap_err();
        assert!(late.to_string().contains("not booted"), "{late}");
        channel.interrupted.store(true, Ordering::Relaxed);
        let interrupted = channel.await_ready(forever()).unwrap_err();
        assert!(matches!(interrupted, Error::Interrupted));
    }

    #[test]
    fn no_answer_is_waited_for_once_the_user_ends_the_run() {
        let waits: [fn(&mut Channel) -> Result<()>; 3] =
            [Channel::settle, Channel::learn_clock, |channel| channel.await_ready(forever())];
        for wait in waits {
            let (mut channel, guest) = pair();
            channel.order(Order::Hogs(1)).unwrap();
            let interrupted = channel.interrupted.clone();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| wait(&mut channel));
                // Whether it is already waiting or not, it must not wait for the guest, which says
                // nothing.
                interrupted.store(true, Ordering::Relaxed);
                let ended = waiting.join().unwrap();
                assert!(matches!(ended, Err(Error::Interrupted)), "{ended:?}");
            });
            drop(guest);
        }
    }

    #[test]
    fn what_has_come_counts_even_if_the_user_ends_the_run() {
        let (mut channel, mut guest) = pair();
        guest.write_all(b"done\nready\n").unwrap();
        channel.order(Order::Hogs(1)).unwrap();
        channel.settle().unwrap();
        channel.interrupted.store(true, Ordering::Relaxed);
        channel.await_ready(forever()).unwrap();
    }

    #[test]
    fn an_image_without_iperf3_is_told_with_a_hint() {
        let (mut channel, mut guest) = pair();
        guest.write_all(b"ready without iperf3\n").unwrap();
        let error = channel.await_ready(forever()).unwrap_err().to_string();
        assert!(error.contains("--install"), "{error}");
    }
}
