//! The first frames: one from each TAP to the sink.
//!
//! Their arrival shows that everything forwards. And whatever a switch creates for the first frame
//! of a kind (a table entry, a flow) exists before anything is measured.

use std::{io::Write as _, thread, time::Duration};

use probe_core::{
    error::{Error, Result},
    model::units::Nanos,
};

use super::sink::Sink;
use crate::workload::addresses::{guest_mac, sink_mac};
use crate::{
    kernel::clock,
    sys::tun::Tap,
    workload::{blast::frame, vhost::device},
};

/// How long a frame may take to arrive.
const ARRIVES_IN: Nanos = Nanos(2_000_000_000);

/// How often a frame is sent again if it does not arrive.
const TRIES: usize = 10;

/// Sends them, one by one, and waits for each.
///
/// # Errors
/// A TAP refuses its frame, or none of them arrives.
pub(super) fn send(taps: &[Tap], sink: &Sink) -> Result<()> {
    (0..).zip(taps).try_for_each(|(guest, tap)| {
        let mut frame = vec![0; device::HEADER as usize];
        frame.extend(frame::template(frame::MIN, sink_mac(), guest_mac(guest), guest));
        for _ in 0..TRIES {
            let before = sink.read()?.frames;
            let written = tap.file().write_all(&frame);
            written.map_err(|e| Error::call("write", tap.name(), e))?;
            if arrives(sink, before)? {
                return Ok(());
            }
        }
        Err(Error::Inconsistent(format!("no frame from {} arrived at the sink", tap.name())))
    })
}

fn arrives(sink: &Sink, before: u64) -> Result<bool> {
    let start = clock::now();
    while clock::now().since(start) < ARRIVES_IN {
        if sink.read()?.frames > before {
            return Ok(true);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}
