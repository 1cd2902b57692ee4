//! Flags that override parts of a scenario.

use std::path::PathBuf;

use clap::Args;

use probe_core::model::{
    bounds,
    scenario::{GuestKind, Switch},
};

/// Overrides of a scenario.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Kind of guest, instead of the scenario's. Only `blast` guests can measure overhead.
    #[arg(long, value_enum, value_name = "KIND")]
    pub guests: Option<GuestKind>,
    /// Folder with the kernel and initramfs of `kvm` guests, as --install builds it.
    #[arg(long, value_name = "DIR")]
    pub guest_image: Option<PathBuf>,
    /// Take the memory of `kvm` guests from the host's reserved huge pages.
    #[arg(long)]
    pub huge_pages: bool,
    /// What connects the guests' TAPs to the cable, instead of the scenario's choice.
    #[arg(long, value_enum, value_name = "KIND")]
    pub switch: Option<Switch>,
    /// Multiply the length of the sections of fidelity trials by this factor: 0.2.
    #[arg(long, value_name = "FACTOR", value_parser = |text: &str| bounds::TIME_SCALE.parse(text))]
    pub time_scale: Option<f64>,
}
