//! The places at which events are counted or recorded: a run's own kprobe events, or the target's
//! tracepoints. perf identifies both by their number in tracefs.

use probe_core::{
    error::{Error, Result},
    model::{item::ItemId, target::Target},
};

use crate::{
    kernel::{
        known::Known,
        probe_events::{ProbeEvents, ProbeKind, Profile},
        tracefs::Tracefs,
    },
    sys::perf::{Attr, SampleRate},
};

/// The source of a method's events.
///
/// Our own kprobe events rather than perf's anonymous kprobes (PMU `kprobe`): for the latter the
/// kernel does not show how often they were hit and missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointSource {
    /// A kprobe event at each function.
    Kprobes,
    /// Each tracepoint.
    Tracepoints,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    /// The item of the target that is observed there.
    pub(super) item: ItemId,
    /// The event's number, `perf_event_attr.config`.
    pub(super) id: u64,
    /// Its name in tracefs: `group/name`.
    pub(super) name: String,
}

impl Point {
    /// The event at this place.
    pub(super) fn attr(&self, rate: SampleRate, sample_type: u64) -> Attr {
        const TRACEPOINT: u32 = 2;
        Attr {
            kind: TRACEPOINT,
            config: self.id,
            rate,
            sample_type,
            wake_after: None,
            exclude_guest: false,
        }
    }
}

/// The places, for as long as events are open there.
#[derive(Debug)]
pub(super) struct Points {
    places: Vec<Point>,
    probes: Option<ProbeEvents>,
}

impl PointSource {
    /// The places in `target`. `group` is the group of the run's own probe events.
    ///
    /// # Errors
    /// There are none, or the kernel refused a probe; nothing is left behind.
    pub(super) fn points(self, target: &Target, group: &str) -> Result<Points> {
        self.points_in(&Tracefs::find()?, target, group)
    }

    fn points_in(self, tracefs: &Tracefs, target: &Target, group: &str) -> Result<Points> {
        let points = match self {
            Self::Kprobes => {
                let functions = &target.functions;
                let probes = ProbeEvents::create(tracefs, group, ProbeKind::Kprobe, functions)?;
                let events = target.functions().zip(probes.events());
                let places = events.map(|((item, _), event)| Point {
                    item,
                    id: event.format.id.into(),
                    name: format!("{}/{}", event.group, event.name),
                });
                Points { places: places.collect(), probes: Some(probes) }
            }
            Self::Tracepoints => {
                let places = target.tracepoints().map(|(item, tracepoint)| {
                    let name = format!("{}/{}", tracepoint.group, tracepoint.name);
                    let id = tracefs.tracepoint_id(tracepoint)?;
                    Ok(Point { item, id, name })
                });
                Points { places: places.collect::<Result<_>>()?, probes: None }
            }
        };
        if points.places.is_empty() {
            return Err(self.nothing());
        }
        Ok(points)
    }

    /// As [`PointSource::points`], to find out whether there are any, on behalf of no run; leaves
    /// none.
    pub(super) fn try_out(self, target: &Target, known: &Known) -> Result<()> {
        match self {
            Self::Kprobes if target.functions.is_empty() => Err(self.nothing()),
            Self::Kprobes => ProbeEvents::try_out(known, ProbeKind::Kprobe, &target.functions),
            Self::Tracepoints => self.points_in(known.tracefs()?, target, "")?.close(),
        }
    }

    fn nothing(self) -> Error {
        let (what, example) = match self {
            Self::Kprobes => ("function", "vhost_net:handle_tx"),
            Self::Tracepoints => ("tracepoint", "net:net_dev_xmit"),
        };
        let hint = format!("Name one, such as {example}, or use another method");
        Error::unsupported("target", format!("it has no {what}"), hint)
    }
}

impl Points {
    /// The places.
    pub(super) fn places(&self) -> &[Point] {
        &self.places
    }

    /// The kernel's counts of each place's probe so far; `None` if there are no probes.
    ///
    /// # Errors
    /// The counters cannot be read.
    pub(super) fn profile(&self) -> Result<Option<Vec<Profile>>> {
        let Some(probes) = &self.probes else { return Ok(None) };
        Ok(probes.profile()?.into_iter().collect())
    }

    /// Removes the probes; the events at them must be closed.
    ///
    /// # Errors
    /// The kernel refused.
    pub(super) fn close(self) -> Result<()> {
        self.probes.map_or(Ok(()), ProbeEvents::close)
    }
}
