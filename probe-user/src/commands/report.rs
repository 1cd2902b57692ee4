//! `tracetoll report`.

use std::{fs, path::Path, process::ExitCode};

use probe_core::{
    error::{Error, Result},
    report::{
        html, markdown,
        results::{self, NamedCampaign},
        screen, several,
        tables::Dataset,
        text,
    },
};

use crate::{
    cli::{ReportArgs, ReportFormat, ReportTable},
    measure::{output, store},
};

/// Prints the report of a result, or of several side by side, or writes it to files.
///
/// # Errors
/// A result cannot be read or is invalid, or the output cannot be written.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let read = args.results.iter().map(|path| Ok((path.display().to_string(), store::read(path)?)));
    let results = results::named(read.collect::<Result<_>>()?);
    match &args.out {
        None => super::print(&text(args, &results)?)?,
        Some(out) => match files(args.format, &results)? {
            Some(files) => write(out, &files)?,
            None => output::write_whole(out, text(args, &results)?)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// As one text.
fn text(args: &ReportArgs, results: &[NamedCampaign]) -> Result<String> {
    let table = match args.table.unwrap_or(ReportTable::Trials) {
        ReportTable::Trials => Dataset::Trials,
        ReportTable::Bins => Dataset::Bins,
        ReportTable::Figures => Dataset::Figures,
    };
    match (args.format, results) {
        (ReportFormat::Text, [one]) if !args.full => Ok(screen::render(&one.campaign)),
        (ReportFormat::Text, [one]) => Ok(text::render(&one.campaign)),
        (ReportFormat::Text, several) => Ok(several::text(several)),
        (ReportFormat::Markdown, [one]) => Ok(markdown::render(&one.campaign)),
        (ReportFormat::Markdown, several) => Ok(several::markdown(several)),
        (ReportFormat::Html, [one]) => Ok(html::render(&one.campaign)),
        (ReportFormat::Html, several) => Ok(html::several::render(several)),
        (ReportFormat::Json, [one]) => super::json(&one.campaign),
        (ReportFormat::Json, several) => super::json(&several),
        (ReportFormat::Csv, results) => table.csv(results),
        (ReportFormat::Parquet | ReportFormat::Svg, _) => Err(Error::invalid(
            "--format parquet or svg",
            "each consists of several files",
            "Name a folder for them with --out",
        )),
    }
}

type Files = Vec<(String, Vec<u8>)>;

/// By name, where the form is several files.
fn files(format: ReportFormat, results: &[NamedCampaign]) -> Result<Option<Files>> {
    match format {
        ReportFormat::Csv => tables("csv", |table| Ok(table.csv(results)?.into_bytes())).map(Some),
        ReportFormat::Parquet => tables("parquet", |table| table.parquet(results)).map(Some),
        ReportFormat::Svg => {
            let drawings = match results {
                [one] => html::drawings(&one.campaign),
                several => html::several::drawings(several),
            };
            Ok(Some(drawings.into_iter().map(|(name, svg)| (name, svg.into_bytes())).collect()))
        }
        _ => Ok(None),
    }
}

fn tables(extension: &str, made: impl Fn(Dataset) -> Result<Vec<u8>>) -> Result<Files> {
    let file = |table: Dataset| Ok((format!("{}.{extension}", table.name()), made(table)?));
    Dataset::ALL.into_iter().map(file).collect()
}

fn write(folder: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| Error::output("create", folder, e))?;
    files.iter().try_for_each(|(name, bytes)| output::write_whole(&folder.join(name), bytes))
}
