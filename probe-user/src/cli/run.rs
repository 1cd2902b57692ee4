//! `tracetoll run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use probe_core::model::{
    bounds,
    cpu_list::CpuList,
    scenario::{Rate, duration_text},
    trial::Part,
};

use super::{
    overrides::Overrides,
    vms::{Told, VmArgs},
};

const EXAMPLES: &str = "\
Examples:
  tracetoll run
  tracetoll run --on vm --overhead-blocks 8 --methods count
  tracetoll run --methods off,bpf-fentry-count --blocks 10 --out results/count
  tracetoll run --scenario paper-fig8 --guests bridge --parts fidelity --time-scale 0.2
  tracetoll run --load-cpus 2-5 --sink-cpu 6";

/// `tracetoll run`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// What was said, for VMs that are told it again.
    #[command(flatten)]
    pub told: Told,
    /// A built-in scenario, or a file that ends in .toml.
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub scenario: String,
    /// What of the scenario is to be otherwise.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Methods or groups of methods (default, all, ftrace, perf, bpf, capture, external, count,
    /// record, sample), separated by commas, with parameters where they are to differ:
    /// ftrace-function:clock=local. The baseline `off` always runs; `tracetoll methods` lists all.
    #[arg(long, default_value = "default", value_name = "LIST")]
    pub methods: String,
    /// One more method, whose words may hold commas and spaces: `external:NAME=program arguments…`;
    /// may be repeated.
    #[arg(long, value_name = "METHOD")]
    pub method: Vec<String>,
    /// What is traced: presets (`vhost`, `vhost-parts`, `kvm`, `tun`, `paper`), functions
    /// (`handle_tx`, `tun:tun_get_user`, `vhost_net:*`, `!vhost_net:vhost_net_open`) and
    /// tracepoints (`tracepoint:net:net_dev_xmit`), separated by commas.
    #[arg(long, default_value = "vhost", value_name = "LIST")]
    pub target: String,
    /// Measure the overhead in the closed loop also on only the first so many of the target's
    /// functions.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
        value_parser = |text: &str| bounds::SIZE.parse(text))]
    pub sizes: Vec<usize>,
    /// Blocks: each runs every method once, in random order. 10 unless given; with --until-ci at
    /// most so many, 100 unless given.
    #[arg(long, value_parser = |text: &str| bounds::BLOCKS.parse(text))]
    pub blocks: Option<u32>,
    /// Stop as soon as each method's cost is known within this share of the worker's CPU time under
    /// `off` (half the width of its 95 % interval), after 10 blocks or more: 1%.
    #[arg(long, value_name = "PER CENT", value_parser = share)]
    pub until_ci: Option<f64>,
    /// CPUs of the load (guests, vhost workers, hogs), in the kernel's list format: 2-5,8. As many
    /// as the scenario's `load_cpus`, unless given, the first ones that this process may run on; if
    /// given, the result has their number there.
    #[arg(long, value_name = "LIST")]
    pub load_cpus: Option<CpuList>,
    /// CPU of the sink and of whoever reads counters at the bin edges; the next one unless given.
    #[arg(long, value_name = "CPU")]
    pub sink_cpu: Option<u32>,
    /// CPUs that a method's own reader (a thread or an outside program) may run on, in the same
    /// format. Those of the load unless given: there it takes time from what is traced, as a tool
    /// on that machine does.
    #[arg(long, value_name = "LIST")]
    pub reader_cpus: Option<CpuList>,
    /// Which trials.
    #[arg(long, value_enum, default_value_t = Parts::Both)]
    pub parts: Parts,
    /// Seed of all that is drawn, any number of 64 bits; taken from the clock unless given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder for the result.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the journal here (a virtio port, say) and make no result folder.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub journal: Option<PathBuf>,
    /// Offered load of the paced trials, instead of the scenario's.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<Rate>,
    /// Kicks of a closed-loop trial, instead of the scenario's.
    #[arg(long, value_parser = |text: &str| bounds::KICKS.parse(text))]
    pub kicks: Option<u64>,
    /// Length of the paced and saturated trials, instead of the scenario's.
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub duration: Option<std::time::Duration>,
    /// Kernel programs to use instead of the built-in ones: an object of the same programs. The
    /// result holds its SHA-256.
    #[arg(long, value_name = "FILE")]
    pub object: Option<PathBuf>,
    /// Kernel programs that log, in an object built with the feature `log` of probe-ebpf, to see
    /// what a program does: their lines are in the journal, with each trial, and shown at -vv.
    /// Logging costs time, so nothing of such a campaign is a measurement.
    #[arg(long, value_name = "FILE", conflicts_with = "object")]
    pub bpf_log: Option<PathBuf>,
    /// Have the kernel time each run of BPF programs (Linux 5.8), and tell what it says beside the
    /// overhead. That costs time itself, which is in the overhead of every method that runs such
    /// programs.
    #[arg(long)]
    pub bpf_stats: bool,
    /// Wait until no other campaign is measured on this kernel, instead of refusing.
    #[arg(long)]
    pub wait: bool,
    /// Go on even if another tracer holds a function of the target, which the result records, or if
    /// somebody's virtual machines run here.
    #[arg(long)]
    pub allow_shared: bool,
    /// Where to measure, and in what VMs.
    #[command(flatten)]
    pub vms: VmArgs,
}

/// `1%` as 0.01.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or(format!("`{text}` does not end in %"))?;
    Ok(bounds::UNTIL_CI.parse(number.trim())? / 100.0)
}

/// As in a scenario's `overhead.paced.rate`.
fn rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse()?;
    bounds::RATE.check(rate.per_second()).map(|_| rate)
}

/// As in a scenario's `overhead.paced.duration`.
fn length(text: &str) -> Result<std::time::Duration, String> {
    bounds::PHASE.check(duration_text::parse(text)?)
}

/// Which trials a run makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Parts {
    /// Overhead and fidelity.
    Both,
    /// What the methods cost.
    #[value(alias = "toll")]
    Overhead,
    /// What they still show.
    Fidelity,
}

impl Parts {
    /// As the model has them.
    pub fn list(self) -> Vec<Part> {
        match self {
            Self::Both => vec![Part::Overhead, Part::Fidelity],
            Self::Overhead => vec![Part::Overhead],
            Self::Fidelity => vec![Part::Fidelity],
        }
    }
}
