//! Where and how it was measured, and what cannot be concluded from it.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    Section,
    data::{Data, prose},
    figure::{kind, name},
};
use crate::{
    analysis::total,
    model::campaign::{Campaign, ReferenceCheck, Run},
    report::caveats,
};

pub(super) fn section(campaign: &Campaign) -> Option<Section> {
    let blocks =
        vec![machines(campaign).into(), methods(campaign).into(), scenario(campaign).into()];
    Some(Section { id: "environment", title: "Environment", blocks })
}

/// What cannot be concluded.
pub(super) fn limits(campaign: &Campaign) -> Section {
    let list = html! { ul { @for caveat in caveats::list(campaign) { li { (prose(&caveat)) } } } };
    Section { id: "limits", title: "What cannot be concluded", blocks: vec![list.into()] }
}

fn machines(campaign: &Campaign) -> Markup {
    let head = ["run", "started", "clock", "CPU", "CPUs", "memory, MiB", "hypervisor", "seed"];
    let mut data = Data::new(head);
    for (number, run) in (1_usize..).zip(&campaign.runs) {
        let Run { started, seed, platform, host, .. } = run;
        data.push([
            number.to_string(),
            started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            platform.name().to_owned(),
            host.cpu.clone(),
            host.cpus.to_string(),
            (host.memory_kib / 1024).to_string(),
            host.hypervisor.clone().unwrap_or("none".into()),
            seed.to_string(),
        ]);
    }
    let several =
        |of: fn(&Run) -> String| -> BTreeSet<String> { campaign.runs.iter().map(of).collect() };
    let kernels = several(|run| run.host.kernel_version.trim().to_owned());
    let boots = several(|run| run.host.kernel_command_line.trim().to_owned());
    let commands = several(|run| {
        shlex::try_join(run.command_line.iter().map(String::as_str)).unwrap_or_default()
    });
    let functions = campaign.design.target.items().collect::<Vec<_>>().join(" ");
    html! {
        (data.markup("runs", "The runs, and the machines they ran on"))
        dl {
            dt { "tracetoll" } dd { (campaign.design.version) }
            dt { "Command line" }
            @for command in &commands { dd { code { (command) } } }
            dt { "Kernel" }
            @for kernel in &kernels { dd { (kernel) } }
            dt { "Kernel command line" }
            @for boot in &boots { dd { code { (boot) } } }
            dt { "Target" } dd { code { (functions) } }
            @for (function, text) in checks(&campaign.runs) { dt { "Reference counter of " code { (function) } } dd { (text) } }
        }
    }
}

/// How the reference counter was checked: each function once, with the sum of its runs.
fn checks(runs: &[Run]) -> Vec<(String, String)> {
    let all = || runs.iter().flat_map(|run| &run.reference_checks);
    let functions: BTreeSet<&String> = all().map(|check| &check.function).collect();
    let told = |function: &String| {
        let of = || all().filter(move |check| check.function == *function);
        let sites: BTreeSet<&str> =
            of().flat_map(|check| &check.sites).map(String::as_str).collect();
        let (target, reference) =
            (total(of().map(|check| check.target)), total(of().map(|check| check.reference)));
        let holds = if of().all(ReferenceCheck::holds) { "it holds" } else { "IT DOES NOT HOLD" };
        let sites = sites.into_iter().collect::<Vec<_>>().join(" + ");
        format!("{sites}: {reference} where the function had {target}; {holds}")
    };
    functions.into_iter().map(|function| (function.clone(), told(function))).collect()
}

fn methods(campaign: &Campaign) -> Markup {
    let mut data = Data::new(["method", "family", "what it does", "parameters"]);
    for method in &campaign.design.methods {
        let parameters = method.parameters.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={value}")
        });
        data.push([
            method.id.to_string(),
            name(method.family).to_owned(),
            format!("{}: {}", kind(method.class), method.summary),
            parameters.collect::<Vec<_>>().join(" "),
        ]);
    }
    html! {
        details {
            summary { "Methods and their parameters" }
            (data.markup("methods", "Methods and their parameters"))
        }
    }
}

/// As a file that measures the same again.
fn scenario(campaign: &Campaign) -> Markup {
    let scenario = &campaign.design.scenario;
    let text = toml::to_string_pretty(scenario).unwrap_or_else(|error| error.to_string());
    html! {
        details {
            summary { "Scenario " code { (scenario.name) } ": " (prose(&scenario.summary)) }
            pre tabindex="0" { code { (text) } }
        }
    }
}
