//! Groups things to which the same text applies, so that one sentence covers them.

/// Texts, each with the names to which it applies, each with its items, in the order of first use.
#[derive(Default)]
pub(super) struct Grouped(Vec<(String, Names)>);

type Names = Vec<(String, Vec<String>)>;

/// One sentence: `text` applies to each of `names` for each of `items`.
pub(super) struct Group {
    pub(super) text: String,
    pub(super) names: Vec<String>,
    pub(super) items: Vec<String>,
}

impl Grouped {
    /// Adds that `text` applies to `name` for `item`.
    pub(super) fn add(&mut self, text: &str, name: &str, item: String) {
        put(&mut self.0, text, |names| put(names, name, |items| items.push(item)));
    }

    /// One group per text and list of items; names that share both are in one group.
    pub(super) fn into_groups(self) -> impl Iterator<Item = Group> {
        self.0.into_iter().flat_map(|(text, names)| {
            let mut groups: Vec<Group> = Vec::new();
            for (name, items) in names {
                match groups.iter_mut().find(|group| group.items == items) {
                    Some(group) => group.names.push(name),
                    None => groups.push(Group { text: text.clone(), names: vec![name], items }),
                }
            }
            groups
        })
    }
}

/// Puts something into the value of `key`, which is appended if it is missing.
fn put<V: Default>(pairs: &mut Vec<(String, V)>, key: &str, into: impl FnOnce(&mut V)) {
    if let Some((_, value)) = pairs.iter_mut().find(|(known, _)| known == key) {
        return into(value);
    }
    let mut value = V::default();
    into(&mut value);
    pairs.push((key.to_owned(), value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_share_text_and_items_stand_together() {
        let mut grouped = Grouped::default();
        for (text, name, item) in [
            ("failed", "r_m", "a"),
            ("short", "r_0", "a"),
            ("failed", "r_w", "a"),
            ("failed", "r_m", "b"),
            ("failed", "r_w", "b"),
            ("failed", "r_0", "b"),
        ] {
            grouped.add(text, name, item.into());
        }
        let told: Vec<String> = grouped
            .into_groups()
            .map(|g| format!("{}: {} of {}", g.text, g.names.join(" "), g.items.join(" ")))
            .collect();
        assert_eq!(told, ["failed: r_m r_w of a b", "failed: r_0 of b", "short: r_0 of a"]);
    }
}
