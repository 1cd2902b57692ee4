//! Tests of the whole page: well-formed, self-contained, and a data table for every figure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use roxmltree::{Document, Node};

use super::{drawings, render, several, svg::STYLE};
use crate::{
    analysis::fixture::{Lab, campaign, machines},
    model::{campaign::Campaign, figure::Platform},
    report::several::tests::kernels,
};

/// Everything below `<body>`; the head holds elements that HTML does not close.
fn body(page: &str) -> &str {
    let (start, end) = (page.find("<body>").unwrap(), page.find("</body>").unwrap());
    &page[start..end + "</body>".len()]
}

/// A campaign with everything, one of VMs, and an empty one.
static CAMPAIGNS: LazyLock<[Campaign; 3]> = LazyLock::new(|| {
    let mut empty = Lab::new();
    empty.run(Platform::Native);
    [campaign(), machines().campaign(), empty.campaign()]
});

fn pages() -> impl Iterator<Item = String> {
    CAMPAIGNS.iter().map(render).chain([several::render(&kernels())])
}

fn named<'a, 'input>(node: Node<'a, 'input>, name: &'a str) -> Vec<Node<'a, 'input>> {
    node.descendants().filter(|node| node.has_tag_name(name)).collect()
}

#[test]
fn every_figure_has_its_name_and_its_data() {
    for page in pages() {
        let document = Document::parse(body(&page)).unwrap();
        for figure in named(document.root(), "figure") {
            let title = figure.attribute("aria-labelledby").unwrap();
            let titled =
                figure.descendants().find(|node| node.attribute("id") == Some(title)).unwrap();
            assert!(titled.text().is_some_and(|text| !text.is_empty()));
            let [svg] = named(figure, "svg")[..] else { panic!("one drawing in {title}") };
            assert_eq!(svg.attribute("role"), Some("img"));
            assert_eq!(svg.attribute("aria-labelledby"), Some(title));
            let [details] = named(figure, "details")[..] else { panic!("one table in {title}") };
            assert_eq!(named(details, "table").len(), 1, "{title}");
        }
    }
}

#[test]
fn every_table_has_a_caption_and_names_its_columns_and_rows() {
    for page in pages() {
        let document = Document::parse(body(&page)).unwrap();
        for table in named(document.root(), "table") {
            assert_eq!(named(table, "caption").len(), 1);
            let scope = |node: &Node<'_, '_>| node.attribute("scope").map(str::to_owned);
            let [head] = named(table, "thead")[..] else { panic!("one head") };
            let columns = named(head, "th");
            assert!(columns.iter().all(|th| scope(th).as_deref() == Some("col")));
            let [rows] = named(table, "tbody")[..] else { panic!("one body") };
            for row in named(rows, "tr") {
                let [th] = named(row, "th")[..] else { panic!("one name per row") };
                assert_eq!(scope(&th).as_deref(), Some("row"));
                assert_eq!(
                    1 + named(row, "td").len(),
                    columns.len(),
                    "{:?}",
                    table.attribute("id")
                );
            }
        }
    }
}

#[test]
fn names_are_unique_and_whatever_is_named_is_there() {
    for page in pages() {
        let document = Document::parse(body(&page)).unwrap();
        let all = || document.descendants();
        let mut ids = BTreeSet::new();
        for id in all().filter_map(|node| node.attribute("id")) {
            assert!(ids.insert(id), "{id} stands twice");
        }
        let links = all()
            .filter_map(|node| node.attribute("href"))
            .map(|link| link.strip_prefix('#').unwrap());
        let labels = all().filter_map(|node| node.attribute("aria-labelledby"));
        for target in links.chain(labels) {
            assert!(ids.contains(target), "{target} is nowhere");
        }
    }
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    for page in pages() {
        for word in ["http:", "https:", "url(", "@import", "src=", "<script", "<link", "<iframe"] {
            assert!(!page.contains(word), "{word}");
        }
        let document = Document::parse(body(&page)).unwrap();
        let mut attributes = document.descendants().flat_map(|node| node.attributes());
        assert!(!attributes.any(|attribute| attribute.name().starts_with("on")));
    }
}

#[test]
fn there_are_landmarks_and_headings_do_not_skip_a_level() {
    for page in pages() {
        let document = Document::parse(body(&page)).unwrap();
        for landmark in ["header", "nav", "main", "footer", "h1"] {
            assert_eq!(named(document.root(), landmark).len(), 1, "{landmark}");
        }
        let levels = document.descendants().filter_map(|node| {
            let level = node.tag_name().name().strip_prefix('h')?;
            level.parse::<u32>().ok()
        });
        let levels: Vec<u32> = levels.collect();
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    }
}

#[test]
fn names_from_a_result_stay_text() {
    let mut campaign = CAMPAIGNS[0].clone();
    let evil = "</style><script>alert(1)</script>&\"'";
    campaign.summary.methods[1].id.0 = evil.into();
    campaign.design.methods[1].id.0 = evil.into();
    campaign.design.kernel = evil.into();
    campaign.runs[0].host.cpu = evil.into();
    let page = render(&campaign);
    assert!(!page.contains("<script"));
    let document = Document::parse(body(&page)).unwrap();
    assert!(document.descendants().any(|node| node.text() == Some(evil)));
}

#[test]
fn each_figure_is_a_file_of_its_own() {
    for campaign in &CAMPAIGNS[..2] {
        let mut names = BTreeSet::new();
        for (name, file) in drawings(campaign) {
            let parsed = Document::parse(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                parsed.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")),
                "{name}"
            );
            assert!(!file.contains("NaN") && !file.contains("inf"), "{name}");
            assert!(names.insert(name));
        }
        assert!(!names.is_empty());
    }
}

/// Sections, figures and the heads of their tables.
fn outline(campaign: &Campaign) -> String {
    outline_of(&render(campaign))
}

fn outline_of(page: &str) -> String {
    let document = Document::parse(body(page)).unwrap();
    let mut text = String::new();
    for node in document.descendants() {
        let words = || node.text().unwrap_or_default();
        match node.tag_name().name() {
            "h2" => text.push_str(&format!("# {}\n", words())),
            "figure" => {
                text.push_str(&format!("  figure {}\n", node.attribute("id").unwrap_or_default()));
            }
            "thead" => {
                let cells = named(node, "th");
                let cells = cells.iter().filter_map(Node::text);
                text.push_str(&format!("    {}\n", cells.collect::<Vec<_>>().join(" | ")));
            }
            _ => {}
        }
    }
    text
}

#[test]
fn the_outline() {
    insta::assert_snapshot!(outline(&CAMPAIGNS[0]));
}

#[test]
fn several_results_stand_side_by_side() {
    let (results, mut many) = (kernels(), kernels());
    many.extend(kernels());
    many.extend(kernels());
    insta::assert_snapshot!(outline_of(&several::render(&results)));
    let names = |of| several::drawings(of).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&results), ["kernel-ns-per-event.svg", "r-retained.svg"]);
    assert_eq!(names(&many)[1], "kernel-ns-per-event-2.svg");
}

#[test]
fn the_outline_of_vms() {
    insta::assert_snapshot!(outline(&CAMPAIGNS[1]));
}

/// The custom properties of each theme in the drawings' style, by name.
fn themes() -> Vec<BTreeMap<&'static str, &'static str>> {
    let property =
        |line: &'static str| line.split_once(':').map(|(name, value)| (name.trim(), value.trim()));
    let theme = |block: &'static str| {
        let (properties, _) = block.split_once('}').unwrap();
        properties.split(';').filter_map(property).collect()
    };
    STYLE.split(":root {").skip(1).map(theme).collect()
}

/// Luminance of a colour, `#rrggbb`, as defined by WCAG 2.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize, weight: f64| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        weight * if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    part(1, 0.2126) + part(3, 0.7152) + part(5, 0.0722)
}

/// Contrast, from 1 to 21.
fn contrast(one: &str, other: &str) -> f64 {
    let [one, other] = [one, other].map(|colour| luminance(colour) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_line_stands_out_from_the_paper() {
    assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
    let themes = themes();
    assert_eq!(themes.len(), 3, "light, dark and printed");
    for theme in themes {
        let colours =
            theme.iter().filter(|(name, _)| name.starts_with("--c") || name.starts_with("--pale"));
        assert_eq!(colours.clone().count(), 18, "{theme:?}");
        for (name, colour) in colours {
            let contrast = contrast(colour, theme["--paper"]);
            assert!(contrast >= 3.0, "{name}: {contrast:.2} to 1");
        }
    }
    // No opacity makes anything paler than its colour.
    assert!(!STYLE.contains("opacity"));
}
