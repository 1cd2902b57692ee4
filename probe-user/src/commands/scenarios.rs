//! `tracetoll scenarios`.

use std::process::ExitCode;

use crate::{
    cli::{FactFormat, ScenariosArgs},
    error::{Error, Result},
    workload::scenarios,
};

/// Lists the built-in scenarios, or prints one.
///
/// # Errors
/// There is no scenario of that name.
pub fn scenarios(args: &ScenariosArgs) -> Result<ExitCode> {
    if let Some(name) = &args.print {
        let text = scenarios::text(name).ok_or_else(|| {
            let known = scenarios::names().collect::<Vec<_>>().join(", ");
            Error::invalid(
                format!("scenario `{name}`"),
                "there is none of that name",
                format!("Name one of {known}"),
            )
        })?;
        super::print(text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let all = scenarios::names().map(scenarios::load).collect::<Result<Vec<_>>>()?;
    match args.format {
        FactFormat::Json => super::print_json(&all)?,
        FactFormat::Text => {
            let line =
                |s: &crate::model::scenario::Scenario| format!("{:<12} {}\n", s.name, s.summary);
            super::print(&all.iter().map(line).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
