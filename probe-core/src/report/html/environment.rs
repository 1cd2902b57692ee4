//! Where and how the campaign was measured, and what cannot be concluded from it.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    PageSection,
    figure::{kind, name},
};
use crate::{
    analysis::total,
    model::{
        campaign::{Campaign, ReferenceCheck, Run},
        method::Descriptor,
    },
    report::{
        caveats,
        table::{Cell, Column, Table, prose},
    },
};

pub(super) fn section(campaign: &Campaign) -> Option<PageSection> {
    let blocks =
        vec![machines(campaign).into(), methods(campaign).into(), scenario(campaign).into()];
    Some(PageSection { id: "environment", title: "Environment", blocks })
}

/// What cannot be concluded.
pub(super) fn limits(campaign: &Campaign) -> PageSection {
    let list = html! { ul { @for caveat in caveats::list(campaign) { li { (prose(&caveat)) } } } };
    PageSection { id: "limits", title: "What cannot be concluded", blocks: vec![list.into()] }
}

type OfRuns<'a> = Column<'a, (usize, &'a Run)>;

fn runs(runs: &[Run]) -> Table<'_, (usize, &Run)> {
    let columns = vec![
        OfRuns::new("run", |(number, _)| number.to_string().into()),
        OfRuns::new("started", |(_, run)| {
            run.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string().into()
        }),
        OfRuns::new("clock", |(_, run)| run.platform.name().into()),
        OfRuns::new("CPU", |(_, run)| (&*run.host.cpu).into()),
        OfRuns::new("CPUs", |(_, run)| run.host.cpus.to_string().into()),
        OfRuns::new("memory", |(_, run)| (run.host.memory_kib / 1024).to_string().into())
            .unit("MiB"),
        OfRuns::new("hypervisor", |(_, run)| run.host.hypervisor.clone().into()),
        OfRuns::new("seed", |(_, run)| run.seed.to_string().into()),
    ];
    Table::new((1_usize..).zip(runs), columns)
}

fn machines(campaign: &Campaign) -> Markup {
    let several =
        |of: fn(&Run) -> String| -> BTreeSet<String> { campaign.runs.iter().map(of).collect() };
    let kernels = several(|run| run.host.kernel_version.trim().to_owned());
    let boots = several(|run| run.host.kernel_command_line.trim().to_owned());
    let commands = several(|run| {
        shlex::try_join(run.command_line.iter().map(String::as_str)).unwrap_or_default()
    });
    let functions =
        campaign.design.target.items().map(|(_, name)| name).collect::<Vec<_>>().join(" ");
    html! {
        (runs(&campaign.runs).html("runs", "The runs, and the machines they ran on"))
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

/// How the reference counter was checked: each function once, summed over its runs.
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
    type OfMethods<'a> = Column<'a, &'a Descriptor>;
    let columns = vec![
        OfMethods::new("method", |method| Cell::Name(method.id.to_string())),
        OfMethods::new("family", |method| name(method.family).into()),
        OfMethods::new("what it does", |method| {
            format!("{}: {}", kind(method.class), method.summary).into()
        }),
        OfMethods::new("parameters", |method| {
            let all = method.parameters.iter().map(|(name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{name}={value}")
            });
            all.collect::<Vec<_>>().join(" ").into()
        }),
    ];
    let title = "Methods and their parameters";
    html! {
        details {
            summary { (title) }
            (Table::new(&campaign.design.methods, columns).html("methods", title))
        }
    }
}

/// The scenario as a file that repeats the measurement.
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
