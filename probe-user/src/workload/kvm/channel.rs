//! The line to a guest: orders go in, words come out (the other end is the image's init script, `xtask/src/image/init.sh`).
//!
//! Orders do not wait for their answers, since they are given in the middle of a trial. Whoever has time reads what has
//! come in, and an answer that does not come in time is an error then.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::error::{Error, Result};

/// How long a guest may take to answer: its processors may have to wait for many others.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// What a guest may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Configure the network card: own address with its prefix, the other side's address and its MAC.
    Address(String, String, String),
    /// Start an iperf3 client with this command line, which connects to this port.
    Send(u16, Vec<String>),
    /// End it, and give its report.
    Quiet,
    /// From now on, so many `yes` run.
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

    /// What the guest says when it has done that.
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
    reports: Vec<String>,
}

/// One thing that a guest said.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Line(String),
    Report(String),
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new(), awaited: VecDeque::new(), reports: Vec::new() }
    }

    /// Waits until the guest is up.
    ///
    /// # Errors
    /// It is not within `limit`, or has ended, or has no iperf3.
    pub(super) fn await_ready(&mut self, limit: Duration) -> Result<()> {
        match self.word(Instant::now() + limit)? {
            Some(Word::Line(line)) if line == "ready" => Ok(()),
            Some(Word::Line(line)) if line == "ready without iperf3" => Err(Error::unsupported(
                "the guest image",
                "there is no iperf3 in it",
                "Build it with `cargo xtask image`",
            )),
            Some(other) => Err(unexpected(&other)),
            None => Err(Error::Untrue(format!("it is not up within {limit:?}"))),
        }
    }

    /// Gives an order, and does not wait.
    ///
    /// # Errors
    /// The guest has ended.
    pub(super) fn order(&mut self, order: Order) -> Result<()> {
        self.stream.write_all(order.line().as_bytes()).map_err(gone)?;
        self.awaited.push_back((order, Instant::now()));
        Ok(())
    }

    /// Reads what has come in.
    ///
    /// # Errors
    /// The guest has ended or failed, something in it ended by itself, or an answer is overdue.
    pub(super) fn check(&mut self) -> Result<()> {
        while let Some(word) = self.word(Instant::now())? {
            self.take(word)?;
        }
        match self.awaited.front() {
            Some((order, since)) if since.elapsed() > ANSWERS_WITHIN => Err(late(order)),
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
            let word = self.word(limit)?.ok_or_else(|| late(&order))?;
            self.take(word)?;
        }
        Ok(())
    }

    /// The reports that have come since this was called last.
    pub(super) fn reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    fn take(&mut self, word: Word) -> Result<()> {
        let answer = self.awaited.front().map(|(order, _)| order.answer());
        match (word, answer) {
            (Word::Line(line), Some(answer)) if line == answer => {}
            (Word::Report(report), Some("report")) => self.reports.push(report),
            (other, _) => return Err(unexpected(&other)),
        }
        self.awaited.pop_front();
        Ok(())
    }

    /// The next word; none if it has not come by then. What has come already is given in any case.
    fn word(&mut self, until: Instant) -> Result<Option<Word>> {
        loop {
            if let Some(word) = cut(&mut self.unread)? {
                return Ok(Some(word));
            }
            let left = until.saturating_duration_since(Instant::now());
            // A timeout of zero would mean none.
            let timeout = left.max(Duration::from_micros(1));
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

/// Takes the first word off `unread`, if it is there as a whole.
fn cut(unread: &mut Vec<u8>) -> Result<Option<Word>> {
    let Some(end) = unread.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let line = String::from_utf8_lossy(&unread[..end]).into_owned();
    let Some(length) = line.strip_prefix("report ") else {
        unread.drain(..=end);
        return Ok(Some(Word::Line(line)));
    };
    let length: usize = length
        .parse()
        .map_err(|_| Error::malformed("what the guest said", format!("`{line}` has no length")))?;
    if unread.len() - end - 1 < length {
        return Ok(None);
    }
    let report = String::from_utf8_lossy(&unread[end + 1..end + 1 + length]).into_owned();
    unread.drain(..end + 1 + length);
    Ok(Some(Word::Report(report)))
}

fn gone(error: io::Error) -> Error {
    Error::call("read", "the guest's control port", error)
}

fn late(order: &Order) -> Error {
    let order = order.line();
    Error::Untrue(format!("no answer to `{}` within {ANSWERS_WITHIN:?}", order.trim_end()))
}

fn unexpected(word: &Word) -> Error {
    match word {
        Word::Line(line) => Error::Untrue(format!("it says: {line}")),
        Word::Report(_) => Error::Untrue("it gives a report that nobody asked for".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Channel, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Channel::new(ours), theirs)
    }

    #[test]
    fn answers_belong_to_orders_in_their_order_and_a_report_may_come_in_pieces() {
        let (mut channel, mut guest) = pair();
        channel.order(Order::Hogs(2)).unwrap();
        channel.order(Order::Quiet).unwrap();
        guest.write_all(b"done\nreport 11\n{\"a\":").unwrap();
        channel.check().unwrap();
        assert!(channel.reports().is_empty());
        guest.write_all(b"\n\"b\n\"}").unwrap();
        channel.settle().unwrap();
        assert_eq!(channel.reports(), ["{\"a\":\n\"b\n\"}"]);
        let mut said = [0; 13];
        guest.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hogs 2\nquiet\n");
    }

    #[test]
    fn what_was_not_asked_for_is_an_error_that_says_it() {
        let (mut channel, mut guest) = pair();
        channel.check().unwrap();
        guest.write_all(b"ended iperf3 1\n").unwrap();
        let error = channel.check().unwrap_err().to_string();
        assert!(error.contains("ended iperf3 1"), "{error}");
        guest.write_all(b"report 1\nx").unwrap();
        channel.check().unwrap_err();
    }

    #[test]
    fn an_end_is_an_error() {
        let (mut channel, guest) = pair();
        drop(guest);
        channel.check().unwrap_err();
        channel.await_ready(Duration::from_secs(1)).unwrap_err();
    }

    #[test]
    fn an_image_without_iperf3_names_the_remedy() {
        let (mut channel, mut guest) = pair();
        guest.write_all(b"ready without iperf3\n").unwrap();
        let error = channel.await_ready(Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("cargo xtask image"), "{error}");
    }
}
