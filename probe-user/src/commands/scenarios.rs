//! `tracetoll scenarios`.

use std::process::ExitCode;

use probe_core::{
    error::{Error, Result},
    model::scenario::Scenario,
    report::lines::paragraph,
};

use crate::{
    cli::{FactFormat, ScenariosArgs},
    workload::scenarios,
};

/// Lists the built-in scenarios, or prints one.
///
/// # Errors
/// There is no scenario of that name, or the overrides are invalid.
pub fn scenarios(args: &ScenariosArgs) -> Result<ExitCode> {
    match &args.print {
        Some(name) => print(name, args)?,
        None => list(args.format)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A built-in scenario without overrides is printed as written, including its comments.
fn print(name: &str, args: &ScenariosArgs) -> Result<()> {
    let scenario = super::scenario(name, &args.overrides)?;
    match (args.format, scenarios::text(name)) {
        (FactFormat::Json, _) => super::print_json(&scenario),
        (FactFormat::Text, Some(text)) if scenario == scenarios::load(name)? => super::print(text),
        (FactFormat::Text, _) => super::print(
            &toml::to_string(&scenario).map_err(|e| Error::malformed("output", e.to_string()))?,
        ),
    }
}

fn list(format: FactFormat) -> Result<()> {
    let all = scenarios::names().map(scenarios::load).collect::<Result<Vec<_>>>()?;
    match format {
        FactFormat::Json => super::print_json(&all),
        FactFormat::Text => {
            let line = |s: &Scenario| paragraph(&format!("{:<15} ", s.name), &s.summary);
            super::print(&all.iter().map(line).collect::<String>())
        }
    }
}
