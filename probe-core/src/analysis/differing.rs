//! The first field in which two things differ, by their JSON.

use serde_json::Value;

/// The first field below `path` in which two values differ, with both.
pub(crate) fn differing(
    path: &str,
    ours: &Value,
    theirs: &Value,
) -> Option<(String, String, String)> {
    let below = |key: &dyn std::fmt::Display| {
        if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
    };
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            let side = |map: &serde_json::Map<String, Value>, key| map.get(key).cloned();
            keys.into_iter().find_map(|key| {
                let (a, b) = (side(a, key).unwrap_or_default(), side(b, key).unwrap_or_default());
                differing(&below(key), &a, &b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| differing(&below(&index), a, b))
        }
        (Value::Array(a), Value::Array(b)) => {
            Some((path.to_owned(), format!("{} entries", a.len()), format!("{} entries", b.len())))
        }
        (ours, theirs) if ours == theirs => None,
        (ours, theirs) => Some((path.to_owned(), ours.to_string(), theirs.to_string())),
    }
}
