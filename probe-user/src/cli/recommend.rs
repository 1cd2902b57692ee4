//! `tracetoll recommend`.

use std::path::PathBuf;

use clap::Args;
use probe_core::{analysis::recommend::CallRate, model::method::Gives};

use super::{
    FactFormat,
    Status::{Done, Failed, NoneQualifies, Undecided, Usage},
    status,
};

const EXAMPLES: &str = "\
Examples:
  tracetoll recommend results/mine --max-cpu 1% --rate 300k/s
  tracetoll recommend results/mine --need timestamps --max-loss 0 --min-r-retained 0.95
  tracetoll recommend results/mine --max-throughput-loss 0.5% --format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = more())]
pub struct RecommendArgs {
    /// A result folder, a campaign.json, or the journal of a run that was killed.
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,
    /// Maximum CPU time in the kernel, in the reader and afterwards, as a share of one CPU: 1%.
    #[arg(long, value_name = "PER CENT", value_parser = cpu, allow_hyphen_values = true)]
    pub max_cpu: Option<f64>,
    /// Maximum loss of saturated throughput: 0.5%.
    #[arg(long, value_name = "PER CENT", value_parser = throughput, allow_hyphen_values = true)]
    pub max_throughput_loss: Option<f64>,
    /// Minimum share that must remain of the correlation between calls and throughput, from 0 to 1:
    /// 0.95.
    #[arg(long, value_name = "PART", value_parser = part, allow_hyphen_values = true)]
    pub min_r_retained: Option<f64>,
    /// How much worse the method may tell a degraded bin from the others than the reference counter
    /// does, from 0 to 1: 0.05. Scenario `diagnose` measures it.
    #[arg(long, value_name = "PART", value_parser = part, allow_hyphen_values = true)]
    pub max_detection_loss: Option<f64>,
    /// Maximum share of calls or records that may be lost or missed: 0, or 0.1%.
    #[arg(long, value_name = "0|PER CENT", value_parser = loss, allow_hyphen_values = true)]
    pub max_loss: Option<f64>,
    /// What the method must give, separated by commas; `tracetoll methods` says what each one
    /// gives.
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    pub need: Vec<Gives>,
    /// Your own calls per second, to which the cost per call is scaled: 300k/s. Without it, CPU
    /// time is that of the campaign's paced load.
    #[arg(long, value_name = "RATE", value_parser = |text: &str| text.parse::<CallRate>(), allow_hyphen_values = true)]
    pub rate: Option<CallRate>,
    /// Also judge and rank by costs that were not measured on hardware. Hardware may rank the
    /// methods in another order.
    #[arg(long)]
    pub accept_emulated: bool,
    /// Format of the answer.
    #[arg(long, value_enum, default_value_t = FactFormat::Text)]
    pub format: FactFormat,
}

/// The text after the long help.
fn more() -> String {
    let ends = [Done, Failed, Usage, NoneQualifies, Undecided];
    format!("{EXAMPLES}\n\n{}", status::list(&ends))
}

/// A share of one CPU, which may exceed 100 % up to more CPUs than any machine has.
fn cpu(text: &str) -> Result<f64, String> {
    per_cent(text, 1e6)
}

/// Of all throughput.
fn throughput(text: &str) -> Result<f64, String> {
    per_cent(text, 100.0)
}

/// `0`, or `0.1%` as 0.1.
fn loss(text: &str) -> Result<f64, String> {
    if text == "0" { Ok(0.0) } else { per_cent(text, 100.0) }
}

/// `1%` as 1; zero is one, `most` the last.
fn per_cent(text: &str, most: f64) -> Result<f64, String> {
    let number = text.strip_suffix('%').map(str::trim_end).ok_or_else(|| {
        let number = text.parse::<f64>().is_ok_and(|number| (0.0..=most).contains(&number));
        format!("`{text}` does not end in %: write {}%", if number { text } else { "1" })
    })?;
    match number.parse::<f64>() {
        Ok(below) if below < 0.0 => Err(format!("`{text}` is below zero")),
        Ok(above) if above > most => Err(format!("`{text}` is above {most}%")),
        Ok(per_cent) if !per_cent.is_nan() => settled(text, per_cent, "%"),
        _ => Err(format!("`{number}` is not a number")),
    }
}

/// A limit as it was meant: zero has no sign, and what nothing can be told from is zero.
fn settled(text: &str, limit: f64, unit: &str) -> Result<f64, String> {
    const LEAST: f64 = 1e-6;
    if limit > 0.0 && limit < LEAST {
        return Err(format!("`{text}` is too small: write 0{unit}, or {LEAST}{unit} or more"));
    }
    Ok(limit.abs())
}

/// A part of a whole: `0.95`.
fn part(text: &str) -> Result<f64, String> {
    let fits = |part: &f64| (0.0..=1.0).contains(part);
    let part = text.parse::<f64>().ok().filter(fits);
    settled(text, part.ok_or(format!("`{text}` is not a number from 0 to 1: write 0.95"))?, "")
}
