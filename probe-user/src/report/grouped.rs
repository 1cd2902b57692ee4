//! Things of which one text is true, told in one sentence.

/// Texts, each with the names that it is true of, each with the items that it is true of for that name; in the order of
/// appearance.
#[derive(Default)]
pub(super) struct Grouped(Vec<(String, Names)>);

type Names = Vec<(String, Vec<String>)>;

/// One sentence: `text` is true of each of `names` for each of `items`.
pub(super) struct Group {
    pub(super) text: String,
    pub(super) names: Vec<String>,
    pub(super) items: Vec<String>,
}

impl Grouped {
    /// `text` is true of `name` for `item`.
    pub(super) fn add(&mut self, text: &str, name: String, item: String) {
        entry(entry(&mut self.0, text.to_owned()), name).push(item);
    }

    /// One group per text and list of items; names that share both stand together.
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

/// The value of `key`, new at the end if there is none.
fn entry<V: Default>(pairs: &mut Vec<(String, V)>, key: String) -> &mut V {
    let found = pairs.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        pairs.push((key, V::default()));
        pairs.len() - 1
    });
    &mut pairs[found].1
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
            grouped.add(text, name.into(), item.into());
        }
        let told: Vec<String> = grouped
            .into_groups()
            .map(|g| format!("{}: {} of {}", g.text, g.names.join(" "), g.items.join(" ")))
            .collect();
        assert_eq!(told, ["failed: r_m r_w of a b", "failed: r_0 of b", "short: r_0 of a"]);
    }
}
