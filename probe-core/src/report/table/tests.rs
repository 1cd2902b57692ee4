//! Tests one table in each format.

use super::*;
use crate::{
    analysis::figures::table::KERNEL_NS_PER_EVENT, analysis::fixture::campaign,
    model::campaign::MethodSummary,
};

type OfMethods<'a> = Column<'a, &'a MethodSummary>;

fn table(methods: &[MethodSummary]) -> Table<'_, &MethodSummary> {
    let columns = vec![
        OfMethods::new("method", |method| Cell::Name(method.id.to_string())),
        OfMethods::figure(KERNEL_NS_PER_EVENT, |method| {
            method.overhead.of(KERNEL_NS_PER_EVENT).clone()
        }),
        OfMethods::new("calls | lost", |method| {
            let events = &method.events;
            Cell::lines(
                events.recorded.map(|n| [n.to_string(), "of `all`".into()]).into_iter().flatten(),
                ", ",
            )
        }),
    ];
    Table::new(&methods[..2], columns)
}

#[test]
fn each_form_says_the_same_in_its_own_way() {
    let campaign = campaign();
    let table = table(&campaign.summary.methods);
    let text = table.text();
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["bpf-fentry-count", "+234.8", "49995"]), "{text}");
    assert!(rows.contains(&vec!["[230.5,", "239.1]", "of", "`all`"]), "{text}");
    assert!(rows.contains(&vec!["off", "-", "-"]), "{text}");
    assert_eq!(
        table.markdown(),
        "| method | kernel, per call, ns | calls \\| lost |\n| --- | --- | --- |\n| `off` | - | - \
         |\n| `bpf-fentry-count` | +234.8 [230.5, 239.1] n 5 | 49995, of `all` |\n"
    );
    assert_eq!(
        table.csv().unwrap(),
        "method,\"kernel, per call\",calls | lost\noff,,\nbpf-fentry-count,\"+234.8 [230.5, \
         239.1], n 5, d 5.8\",\"49995, of `all`\"\n"
    );
    let page = table.html("x", "A table").into_string();
    for part in [
        r#"<caption id="x-caption">A table</caption>"#,
        r#"<th scope="col">kernel, per call, ns</th>"#,
        r#"<th scope="row">off</th><td>none</td><td>none</td>"#,
        "<td>+234.8 [230.5, 239.1], n 5, d 5.8</td><td>49995, of <code>all</code></td>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let file = parquet::tests::opened(&table.parquet().unwrap());
    let mut rows = ::parquet::file::reader::FileReader::get_row_iter(&file, None).unwrap();
    let row = rows.nth(1).unwrap().unwrap().to_string();
    assert!(row.contains(r#""+234.8 [230.5, 239.1], n 5, d 5.8""#), "{row}");
}

#[test]
fn rules_stand_between_rows_of_several_lines_alone() {
    let of = |second: &'static str| {
        let lines = move |_: &&str| Cell::lines(second.lines().map(str::to_owned), " ");
        let columns = vec![
            Column::new("name", |name: &&str| Cell::Name((*name).into())).within(4),
            Column::new("lines", lines),
        ];
        Table::new(["one-more", "two"], columns).text()
    };
    let rules = |text: &str| {
        text.matches('\n').count()
            - text.lines().filter(|l| l.contains(char::is_alphabetic)).count()
    };
    assert_eq!(rules(&of("a")), 3, "{}", of("a"));
    assert_eq!(rules(&of("a\nb")), 4, "{}", of("a\nb"));
}

#[test]
fn heads_are_broken_into_even_lines_that_fit_the_cells_below() {
    let head = |unit: &'static str, cell: &'static str| {
        let column = Column::new("cost", move |(): &()| cell.into()).unit(unit);
        let text = Table::new([()], vec![column]).text();
        let lines = text.lines().map(str::trim).skip(1);
        lines.take_while(|line| !line.contains('═')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(head("counted ns per call", "1"), ["cost", "counted ns", "per call"]);
    assert_eq!(
        head("counted ns per call", "12345678901234567890"),
        ["cost", "counted ns per call"]
    );
    assert_eq!(head("", "1"), ["cost"]);
}

#[test]
fn words_between_backticks_are_code_and_all_is_escaped() {
    let text = |of: &str| prose(of).into_string();
    assert_eq!(text("of `a<b` & c"), "of <code>a&lt;b</code> &amp; c");
    assert_eq!(text("one ` alone"), "one ` alone");
    assert_eq!(text(""), "");
}
