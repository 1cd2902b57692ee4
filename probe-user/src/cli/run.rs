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

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The flags as given, to repeat them to VMs.
    #[command(flatten)]
    pub told: Told,
    /// A built-in scenario, or a file that ends in .toml.
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub scenario: String,
    /// Overrides of the scenario.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Methods or groups of methods (default, all, ftrace, perf, bpf, capture, external, count,
    /// record, sample), separated by commas. Parameters follow a colon:
    /// ftrace-function:clock=local. The baseline `off` always runs; `tracetoll methods` lists all
    /// methods.
    #[arg(long, default_value = "default", value_name = "LIST")]
    pub methods: String,
    /// One more method, which may contain commas and spaces: `external:NAME=program arguments…`.
    /// May be repeated.
    #[arg(long, value_name = "METHOD")]
    pub method: Vec<String>,
    /// What to trace: presets (`vhost`, `vhost-parts`, `kvm`, `tun`, `paper`), functions
    /// (`handle_tx`, `tun:tun_get_user`, `vhost_net:*`, `!vhost_net:vhost_net_open`) and
    /// tracepoints (`tracepoint:net:net_dev_xmit`), separated by commas.
    #[arg(long, default_value = "vhost", value_name = "LIST")]
    pub target: String,
    /// Also measure closed-loop overhead with only the first N functions of the target, for each N.
    #[arg(long, value_name = "N,…", value_delimiter = ',',
        value_parser = |text: &str| bounds::SIZE.parse(text))]
    pub sizes: Vec<usize>,
    /// Number of blocks; each block runs every method once, in random order. 10 unless given. With
    /// --until-ci it is the maximum, 100 unless given.
    #[arg(long, value_parser = |text: &str| bounds::BLOCKS.parse(text))]
    pub blocks: Option<u32>,
    /// Stop as soon as each method's cost is known to within this share of the worker's CPU time
    /// under `off` (half the width of its 95 % interval), after at least 10 blocks: 1%.
    #[arg(long, value_name = "PER CENT", value_parser = share)]
    pub until_ci: Option<f64>,
    /// CPUs of the load (guests, vhost workers, hogs), in the kernel's list format: 2-5,8. By
    /// default the first CPUs that this process may use, as many as the scenario's `load_cpus`. If
    /// given, the result records their number as `load_cpus`.
    #[arg(long, value_name = "LIST")]
    pub load_cpus: Option<CpuList>,
    /// CPU of the sink and of the thread that reads counters at bin edges; by default the next one.
    #[arg(long, value_name = "CPU")]
    pub sink_cpu: Option<u32>,
    /// CPUs that a method's own reader (a thread or an external program) may use, in the same
    /// format. By default those of the load: there the reader competes with what it traces, as a
    /// tool on that machine would.
    #[arg(long, value_name = "LIST")]
    pub reader_cpus: Option<CpuList>,
    /// Which trials to run.
    #[arg(long, value_enum, default_value_t = Parts::Both)]
    pub parts: Parts,
    /// Seed of all random choices, any 64-bit number; taken from the clock unless given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Folder for the result.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the journal to this file (a virtio port, for example) and make no result folder.
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
    /// Object file of kernel programs to use instead of the built-in one; it must hold the same
    /// programs. The result records its SHA-256.
    #[arg(long, value_name = "FILE")]
    pub object: Option<PathBuf>,
    /// Object file of kernel programs that log, built with the feature `log` of probe-ebpf, to see
    /// what a program does. Their lines go to the journal, with each trial, and are shown at -vv.
    /// Logging costs time, so such a campaign measures nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "object")]
    pub bpf_log: Option<PathBuf>,
    /// Have the kernel time each run of a BPF program (Linux 5.8), and report these times beside
    /// the overhead. The timing costs time too, which is part of the overhead of every method that
    /// runs such programs.
    #[arg(long)]
    pub bpf_stats: bool,
    /// Wait until no other campaign runs on this kernel, instead of refusing.
    #[arg(long)]
    pub wait: bool,
    /// Run even if another tracer holds a function of the target (the result records it), or if
    /// other virtual machines run here.
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
    /// What the methods still show.
    Fidelity,
}

impl Parts {
    /// As the model names them.
    pub fn list(self) -> Vec<Part> {
        match self {
            Self::Both => vec![Part::Overhead, Part::Fidelity],
            Self::Overhead => vec![Part::Overhead],
            Self::Fidelity => vec![Part::Fidelity],
        }
    }
}
