//! `tracetoll methods`.

use std::process::ExitCode;

use crate::{
    cli::{FactFormat, MethodsArgs},
    error::Result,
    methods::registry,
    model::method::Descriptor,
    report,
};

/// Lists methods by their definitions; asks the kernel for nothing but which event a profiler would take.
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
