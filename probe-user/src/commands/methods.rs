//! `tracetoll methods`.

use std::process::ExitCode;

use probe_core::{error::Result, model::method::Descriptor, report};

use crate::{
    cli::{FactFormat, MethodsArgs},
    methods::registry,
};

/// Lists methods by their definitions. It asks the kernel only which event a profiler would use.
///
/// # Errors
/// There is no such method, or standard output cannot be written.
pub fn methods(args: &MethodsArgs) -> Result<ExitCode> {
    let methods = registry::select(&args.list)?;
    let descriptors: Vec<&Descriptor> = methods.iter().map(|method| method.descriptor()).collect();
    match args.format {
        FactFormat::Json => super::print_json(&descriptors)?,
        FactFormat::Text => {
            let groups: Vec<&str> = registry::groups().collect();
            super::print(&report::methods::render(&descriptors, &groups))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
