//! The schedule of a fidelity trial.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    drawn::{Drawn, Schedule},
    duration_text,
    rate::Rate,
};

/// A fidelity trial: what guests and hogs do, section by section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// Offered load per sending guest; without it, as fast as the guest can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Sections in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// Sections that are drawn for each block, instead of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
}

/// A part of a fidelity trial in which guests and hogs do the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its name in reports, such as a pattern of the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of guests that send, the first ones; the others rest. Without it, all send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<usize>,
    /// Number of hogs on the device under test. With VMs, the VMs after the senders are hogs.
    #[serde(default)]
    pub hogs: usize,
    /// Offered load per sending guest, instead of the schedule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// `blast`: at a rate, the number of frames that are due together and go with one kick; 1 by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_kick: Option<u16>,
    /// Length of the section.
    #[serde(with = "duration_text")]
    #[schemars(with = "String")]
    pub duration: Duration,
}

impl Fidelity {
    /// Length of the whole schedule.
    pub fn duration(&self) -> Duration {
        if let Some(drawn) = &self.drawn {
            return drawn.duration;
        }
        let durations = self.sections.iter().map(|section| section.duration);
        durations.fold(Duration::ZERO, Duration::saturating_add)
    }

    /// The greatest number of hogs at the same time.
    pub fn most_hogs(&self) -> usize {
        let drawn = self.drawn.as_ref().map(Drawn::most_hogs);
        self.sections.iter().map(|section| section.hogs).chain(drawn).max().unwrap_or(0)
    }

    /// What a trial goes through; `seed` is that of its block.
    pub fn schedule(&self, bin: Duration, seed: u64) -> Schedule {
        match &self.drawn {
            Some(drawn) => drawn.draw(bin, seed),
            None => Schedule { sections: self.sections.clone(), ..Schedule::default() },
        }
    }

    /// Makes every section `factor` times as long, in whole bins of width `bin` and at least one. A
    /// length that is too great to represent becomes the greatest one, which the bounds refuse.
    pub fn scale(&mut self, factor: f64, bin: Duration) {
        for section in &mut self.sections {
            section.duration = scaled(section.duration, factor, bin);
        }
        if let Some(drawn) = &mut self.drawn {
            drawn.scale(factor, bin);
        }
    }
}

/// `factor` times as long, in whole bins and at least one.
pub(super) fn scaled(duration: Duration, factor: f64, bin: Duration) -> Duration {
    let bins = (duration.as_secs_f64() * factor / bin.as_secs_f64()).round();
    whole(bins.max(1.0)).map_or(Duration::MAX, |n| bin.saturating_mul(n))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number that is checked to fit"
)]
fn whole(number: f64) -> Option<u32> {
    (1.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_schedule_keeps_to_whole_bins() {
        let section = |seconds| Section {
            name: None,
            senders: None,
            hogs: 0,
            rate: None,
            per_kick: None,
            duration: Duration::from_secs(seconds),
        };
        let mut schedule =
            Fidelity { rate: None, sections: vec![section(25), section(1)], drawn: None };
        schedule.scale(0.21, Duration::from_millis(500));
        assert_eq!(schedule.sections[0].duration, Duration::from_millis(5500));
        assert_eq!(schedule.sections[1].duration, Duration::from_millis(500));
        for factor in [6e18, f64::MAX, f64::INFINITY, f64::NAN, 0.0, -1.0] {
            let mut scaled = schedule.clone();
            scaled.scale(factor, Duration::from_nanos(1));
            assert!(!scaled.duration().is_zero());
        }
    }
}
