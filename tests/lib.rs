//! What a test can see from outside: kernel state that tracetoll may have left behind.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

/// Everything on this kernel of the kinds that tracetoll creates: one line per object, whoever
/// created it.
///
/// Read independently of tracetoll's own sweep, so that a sweep that misses a kind is found out.
///
/// # Errors
/// A list that cannot be read, unless the kind does not exist on this kernel.
pub fn kernel_state() -> Result<BTreeSet<String>> {
    let mut objects = BTreeSet::new();
    let tracefs = Path::new("/sys/kernel/tracing");
    objects.extend(names("tracefs instance", &tracefs.join("instances"))?);
    objects.extend(lines("probe event", &tracefs.join("kprobe_events"))?);
    objects.extend(lines("dynamic event", &tracefs.join("dynamic_events"))?);
    objects.extend(lines("traced function", &tracefs.join("enabled_functions"))?);
    objects.extend(names("interface", Path::new("/sys/class/net"))?);
    objects.extend(names("network namespace", Path::new("/run/netns"))?);
    objects.extend(names("cgroup", Path::new("/sys/fs/cgroup"))?);
    let ours = |name: &String| name.contains(" tracetoll-") && !name.contains("-test-");
    objects.extend(names("folder", &std::env::temp_dir())?.into_iter().filter(ours));
    objects.extend(names("run lock", Path::new("/run/tracetoll"))?);
    for program in aya::programs::loaded_programs() {
        let program = program.context("listing BPF programs")?;
        objects.insert(format!("BPF program {} {:?}", program.id(), program.name_as_str()));
    }
    Ok(objects)
}

fn names(kind: &str, folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(format!("{kind} {}", entry?.file_name().display()))).collect()
}

fn lines(kind: &str, file: &Path) -> Result<Vec<String>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    // The counter in lines of `enabled_functions` may differ; the function's name comes first.
    Ok(text.lines().map(|line| format!("{kind} {}", line.trim_end())).collect())
}
