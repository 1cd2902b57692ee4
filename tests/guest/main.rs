//! Tests that need a kernel of their own. `cargo xtask test` runs them in a VM on each kernel
//! series; anywhere else they are listed as ignored, since they load modules and change the
//! kernel's state.

mod bpf;
mod bpf_fentry;
mod bpf_probes;
mod bridge;
mod byhand;
mod campaign;
mod capture;
mod counters;
mod cpus;
mod ending;
mod existing;
mod external;
mod ftrace;
mod ftrace_methods;
mod ftrace_probes;
mod hook;
mod input;
mod kvm;
mod leftovers;
mod load;
mod narrow;
mod network;
mod owners;
mod paper;
mod perf;
mod perf_events;
mod programs;
mod reference;
mod sink;
mod soak;
mod targets;
mod times;
mod tool;
mod triggers;
mod victim;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// Set by the harness inside its VM.
const IN_GUEST: &str = "TRACETOLL_GUEST";

/// The modules for this machine, with which the harness distributes tests among its VMs: names,
/// separated by commas.
const MODULES: &str = "TRACETOLL_TEST_MODULES";

fn main() -> ExitCode {
    if let Err(error) = load::live_if_victim()
        .and_then(|()| network::live_if_victim())
        .and_then(|()| kvm::live_if_victim())
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    if let Err(error) = existing::live_if_neighbour() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let in_guest = std::env::var_os(IN_GUEST).is_some();
    if !in_guest {
        eprintln!(
            "the guest tests need a kernel of their own: `cargo xtask test` runs them in a VM"
        );
    }
    let suites = [
        leftovers::tests(),
        narrow::tests(),
        bpf::tests(),
        bpf_probes::tests(),
        bpf_fentry::tests(),
        programs::tests(),
        ftrace::tests(),
        ftrace_methods::tests(),
        ftrace_probes::tests(),
        perf::tests(),
        capture::tests(),
        counters::tests(),
        perf_events::tests(),
        external::tests(),
        reference::tests(),
        load::tests(),
        network::tests(),
        existing::tests(),
        targets::tests(),
        hook::tests(),
        bridge::tests(),
        input::tests(),
        campaign::tests(),
        ending::tests(),
        owners::tests(),
        cpus::tests(),
        kvm::tests(),
        paper::tests(),
        byhand::tests(),
        soak::tests(),
    ];
    let trials = suites.into_iter().flatten().filter(is_of_this_machine);
    let trials = trials.map(|trial| {
        let ignored = !in_guest || trial.has_ignored_flag();
        trial.with_ignored_flag(ignored)
    });
    let trials = trials.collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    times::print();
    conclusion.exit_code()
}

/// Whether a test's module is for this machine; true for all if the harness does not say.
fn is_of_this_machine(trial: &Trial) -> bool {
    let Some(modules) = std::env::var_os(MODULES) else { return true };
    let own = trial.name().split("::").next();
    modules.to_string_lossy().split(',').any(|module| Some(module) == own)
}

/// Loads the modules with the presets' functions.
fn load_modules() -> anyhow::Result<()> {
    let status =
        std::process::Command::new("modprobe").args(["-a", "tun", "vhost_net"]).status()?;
    anyhow::ensure!(status.success(), "modprobe: {status}");
    Ok(())
}

/// A test that must leave the kernel as it found it.
fn test(name: &str, body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    let own = name.to_owned();
    Trial::test(name, move || {
        let _stopwatch = times::start(own);
        let before = tracetoll_tests::kernel_state().map_err(failed)?;
        let outcome = body();
        let after = tracetoll_tests::kernel_state().map_err(failed)?;
        outcome.map_err(failed)?;
        let left: Vec<_> = after.difference(&before).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:#?}").into()) }
    })
}

/// A [`test`] only for the full lane, since it takes minutes. It also runs if asked for by name.
fn long_test(name: &str, body: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    test(name, body).with_ignored_flag(true)
}

#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(failed)`")]
fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}
