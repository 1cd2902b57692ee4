//! Numbers with a unit prefix, as people write rates.

const PREFIXES: [(char, f64); 3] = [('G', 1e9), ('M', 1e6), ('k', 1e3)];

/// The greatest prefix for counts: M.
pub(crate) const MEGA: f64 = 1e6;

/// The greatest prefix for bits: G.
pub(crate) const GIGA: f64 = 1e9;

fn prefixes(greatest: f64) -> impl Iterator<Item = (char, f64)> {
    PREFIXES.into_iter().filter(move |&(_, scale)| scale <= greatest)
}

/// `1.5k` as 1500; `None` if it is not a number.
pub(crate) fn parse(text: &str, greatest: f64) -> Option<f64> {
    let scaled = |(prefix, scale)| Some((text.strip_suffix(prefix)?, scale));
    let (digits, scale) = prefixes(greatest).find_map(scaled).unwrap_or((text, 1.0));
    Some(digits.parse::<f64>().ok()? * scale)
}

/// 1500 as `1.5k`.
pub(crate) fn text(value: f64, greatest: f64) -> String {
    match prefixes(greatest).find(|&(_, scale)| value >= scale) {
        Some((prefix, scale)) => format!("{}{prefix}", value / scale),
        None => value.to_string(),
    }
}
