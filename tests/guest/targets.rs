//! What the presets resolve to on each kernel, and that it can be traced.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use probe_core::model::target::Function;
use probe_user::{
    kernel::{
        kallsyms::Kallsyms,
        targets::{self, PRESETS, Preset},
        tracefs::Tracefs,
    },
    methods::{Detection, registry},
};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        crate::test("targets::presets_come_to_what_can_be_traced", presets),
        crate::test("targets::a_preset_without_its_module_says_what_loads_it", without_kvm),
    ]
}

fn preset(name: &str) -> Result<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name).context(name.to_owned())
}

fn presets() -> Result<()> {
    crate::load_modules()?;
    let has_kvm = has_kvm();
    let (symbols, tracefs) = (Kallsyms::load()?, Tracefs::find()?);
    for preset in PRESETS.iter().filter(|preset| has_kvm || !needs_kvm(preset)) {
        let resolved = preset.resolve(&symbols).with_context(|| preset.name)?;
        targets::check_traceable(&resolved.target, &tracefs).with_context(|| preset.name)?;
        // The functions of a preset must work for BPF too: it leaves out what the compiler renamed.
        let count = registry::find("bpf-fentry-count")?.detect(&resolved.target);
        let traced = match &count {
            Detection::Available => true,
            // docs/src/explanation/loss.md, "Where exact ends".
            Detection::Unsupported { why, .. } => {
                needs_kvm(preset)
                    && why.contains("kvm_vcpu_halt")
                    && why.contains("enabled_functions")
            }
            Detection::Inconclusive(_) => false,
        };
        ensure!(traced, "{}: {count:?}", preset.name);
    }
    let parts = preset("vhost-parts")?.resolve(&symbols)?;
    let names: Vec<_> = parts.target.functions.iter().map(Function::listed).collect();
    let copies = ["handle_tx_copy [vhost_net]", "handle_tx_zerocopy [vhost_net]"];
    ensure!(names.starts_with(&copies.map(str::to_owned)), "{names:?}");
    if has_kvm {
        let paper = preset("paper")?.resolve(&symbols)?;
        let names: Vec<_> = paper.target.functions.iter().map(|f| f.name.as_str()).collect();
        let enter = names.first().is_some_and(|name| name.ends_with("_vcpu_run"));
        ensure!(enter && names[1..] == ["kvm_vcpu_halt", "handle_tx", "handle_rx"], "{paper:?}");
        ensure!(paper.notes.iter().any(|note| note.contains("vcpu_enter_guest")), "{paper:?}");
    }
    Ok(())
}

fn needs_kvm(preset: &Preset) -> bool {
    matches!(preset.name, "kvm" | "paper")
}

/// Whether this machine's processor lets kvm_amd or kvm_intel load.
fn has_kvm() -> bool {
    ["kvm_amd", "kvm_intel"].into_iter().any(|module| {
        Command::new("modprobe").arg(module).output().is_ok_and(|done| done.status.success())
    })
}

fn without_kvm() -> Result<()> {
    crate::load_modules()?;
    for module in ["kvm_amd", "kvm_intel", "kvm"] {
        // A module that is not loaded, or missing, is fine here.
        let _ = Command::new("modprobe").args(["-r", module]).output()?;
    }
    let symbols = Kallsyms::load()?;
    for name in ["kvm", "paper"] {
        let error = preset(name)?.resolve(&symbols).err().context("resolved without kvm")?;
        ensure!(error.to_string().contains("modprobe"), "{error}");
    }
    Ok(())
}
