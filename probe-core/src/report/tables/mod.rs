//! Trials, bins and figures as tables, for pandas, DuckDB and their like.
//!
//! A table is a list of `Column`s over rows: each has a name, a unit, a kind of value and the
//! function that reads it. A `Form` makes a file of any such list, so that no column is written
//! down twice. What is not known is null, never zero.

mod about;
mod bins;
mod csv;
mod figures;
mod parquet;
mod trials;

use jiff::Timestamp;

use super::results::Named;
use crate::error::Result;

/// A table that there is of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One row per trial, failed ones included.
    Trials,
    /// One row per bin of a trial, and item that the reference counter or the method saw in it.
    Bins,
    /// One row per figure of a method.
    Figures,
    /// What each column of the others is.
    Columns,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Trials, Self::Bins, Self::Figures, Self::Columns];

    /// The name of its file, without what tells the form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trials => "trials",
            Self::Bins => "bins",
            Self::Figures => "figures",
            Self::Columns => "columns",
        }
    }

    /// As CSV. A table of several results says of each row which it is of.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn csv(self, results: &[Named]) -> Result<String> {
        self.write::<csv::Csv>(results)
    }

    /// As a Parquet file, with the same columns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn parquet(self, results: &[Named]) -> Result<Vec<u8>> {
        self.write::<parquet::Parquet>(results)
    }

    fn write<F: Form>(self, results: &[Named]) -> Result<F::File> {
        let several = results.len() > 1;
        match self {
            Self::Trials => {
                let rows: Vec<_> = results.iter().flat_map(trials::rows).collect();
                F::write(&shown(trials::columns(), several), &rows)
            }
            Self::Bins => {
                let rows: Vec<_> = results.iter().flat_map(bins::rows).collect();
                F::write(&shown(bins::columns(), several), &rows)
            }
            Self::Figures => {
                let rows: Vec<_> = results.iter().flat_map(figures::rows).collect();
                F::write(&shown(figures::columns(), several), &rows)
            }
            Self::Columns => F::write(&about::columns(), &about::rows(several)),
        }
    }
}

/// A kind of file that a table can be made into.
trait Form {
    /// What stands in the file.
    type File;

    fn write<Row>(columns: &[Column<Row>], rows: &[Row]) -> Result<Self::File>;
}

/// A column of a table over `Row`s.
struct Column<Row> {
    name: &'static str,
    /// Empty where its values have none.
    unit: &'static str,
    about: &'static str,
    value: Value<Row>,
}

/// How a column's values are read; which kind they are is known before any is.
enum Value<Row> {
    Text(fn(&Row) -> Option<String>),
    Count(fn(&Row) -> Option<u64>),
    Number(fn(&Row) -> Option<f64>),
    Flag(fn(&Row) -> Option<bool>),
    Time(fn(&Row) -> Option<Timestamp>),
}

/// Name of the column that tells results apart.
const RESULT: &str = "result";

/// The columns without the one that tells results apart, unless there are `several`.
fn shown<Row>(mut columns: Vec<Column<Row>>, several: bool) -> Vec<Column<Row>> {
    columns.retain(|column| several || column.name != RESULT);
    columns
}

impl<Row> Column<Row> {
    const fn result(value: fn(&Row) -> Option<String>) -> Self {
        Self::text(RESULT, "which result; only in tables of several", value)
    }

    const fn text(
        name: &'static str,
        about: &'static str,
        value: fn(&Row) -> Option<String>,
    ) -> Self {
        Self { name, unit: "", about, value: Value::Text(value) }
    }

    const fn flag(
        name: &'static str,
        about: &'static str,
        value: fn(&Row) -> Option<bool>,
    ) -> Self {
        Self { name, unit: "", about, value: Value::Flag(value) }
    }

    const fn count(
        name: &'static str,
        unit: &'static str,
        about: &'static str,
        value: fn(&Row) -> Option<u64>,
    ) -> Self {
        Self { name, unit, about, value: Value::Count(value) }
    }

    const fn number(
        name: &'static str,
        unit: &'static str,
        about: &'static str,
        value: fn(&Row) -> Option<f64>,
    ) -> Self {
        Self { name, unit, about, value: Value::Number(value) }
    }

    const fn time(
        name: &'static str,
        about: &'static str,
        value: fn(&Row) -> Option<Timestamp>,
    ) -> Self {
        Self { name, unit: "", about, value: Value::Time(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::{campaign, machines},
        model::campaign::Campaign,
        report::results::named,
    };

    fn one(campaign: Campaign) -> Vec<Named> {
        named(vec![("a".into(), campaign)])
    }

    fn read(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }

    #[test]
    fn each_trial_is_a_row_and_what_is_not_known_is_empty() {
        let campaign = campaign();
        let rows = read(&Table::Trials.csv(&one(campaign.clone())).unwrap());
        assert_eq!(rows.len(), campaign.trials.len());
        let find = |part: &str, pace: &str, method: &str| {
            let found = rows.iter().find(|row| {
                row["part"] == part
                    && row["pace"] == pace
                    && row["method"] == method
                    && row["why"].is_empty()
            });
            found.unwrap()
        };
        let closed_loop = find("overhead", "closed_loop", "bpf-fentry-count");
        assert_eq!(closed_loop["kicks"], "10000");
        assert_eq!(closed_loop["worker_ns"], "86100000");
        assert_eq!((&*closed_loop["item"], &*closed_loop["recorded"]), ("handle_tx", "9999"));
        assert_eq!((&*closed_loop["missed"], &*closed_loop["missed_kind"]), ("1", "exact"));
        assert_eq!(closed_loop["latency_p50_us"], "");
        let unknown = find("overhead", "closed_loop", "ftrace-function");
        assert_eq!((&*unknown["missed"], &*unknown["missed_kind"]), ("", "unknown"));
        // Three digits are kept of each time.
        let paced: f64 = find("overhead", "paced", "off")["latency_p50_us"].parse().unwrap();
        assert!((paced / 500.0 - 1.0).abs() < 2e-3, "{paced}");
        let failed = rows.iter().find(|row| !row["why"].is_empty()).unwrap();
        assert_eq!((&*failed["method"], &*failed["worker_ns"]), ("ftrace-function", ""));
    }

    #[test]
    fn each_bin_is_a_row_for_each_item_that_anybody_saw() {
        let campaign = machines().campaign();
        let rows = read(&Table::Bins.csv(&one(campaign)).unwrap());
        let of = |method: &str, item: &str| {
            let found = rows.iter().filter(|row| row["method"] == method && row["item"] == item);
            found.collect::<Vec<_>>()
        };
        let traced = of("ftrace-function", "handle_tx");
        assert_eq!(traced.len(), 128);
        let last = traced.last().unwrap();
        assert_eq!((&*last["bin"], &*last["start_s"], &*last["length_s"]), ("127", "127", "1"));
        assert_eq!((&*last["hogs"], &*last["senders"]), ("3", "1"));
        // The last bin of the last step: 6000 calls less a tenth.
        assert_eq!((&*last["reference_calls"], &*last["shown"]), ("5400", "5400"));
        assert_eq!((&*last["shown_unit"], &*last["calls_per_unit"]), ("calls", "1"));
        let profiled = of("perf-sample-999-callchain", "handle_tx")[0];
        assert_eq!((&*profiled["shown_unit"], &*profiled["shown"]), ("cpu_share_pct", "20"));
        assert_eq!(of("off", "handle_tx")[0]["shown"], "");
    }

    #[test]
    fn each_figure_is_a_row_with_its_unit_or_why_it_has_no_number() {
        let rows = read(&Table::Figures.csv(&one(campaign())).unwrap());
        let find = |method: &str, figure: &str| {
            rows.iter().find(|row| row["method"] == method && row["figure"] == figure).unwrap()
        };
        let cost = find("bpf-fentry-count", "overhead.kernel_ns_per_event");
        assert_eq!((&*cost["unit"], &*cost["worse"], &*cost["platform"]), ("ns", "up", "counted"));
        // 230 ns, and a mean of 4.8 that its blocks wobble by.
        assert_eq!((&*cost["estimate"], &*cost["n"], &*cost["why"]), ("234.8", "5", ""));
        let none = find("perf-sample-999-callchain", "overhead.kernel_ns_per_event");
        assert!(none["estimate"].is_empty() && none["why"].starts_with("a profiler"), "{none:?}");
    }

    #[test]
    fn every_column_is_described_with_its_unit_and_has_a_name_of_its_own() {
        let rows = read(&Table::Columns.csv(&[]).unwrap());
        let names = rows.iter().map(|row| (&row["table"], &row["column"]));
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), rows.len());
        let ns = rows.iter().find(|row| row["column"] == "worker_ns").unwrap();
        assert_eq!((&*ns["table"], &*ns["unit"]), ("trials", "ns"));
    }

    #[test]
    fn rows_of_several_results_say_which_they_are_of() {
        let alone = Table::Trials.csv(&one(campaign())).unwrap();
        let mut other = campaign();
        other.design.kernel = "6.1.0-test".into();
        let both = named(vec![("a".into(), campaign()), ("b".into(), other)]);
        for table in [Table::Trials, Table::Bins, Table::Figures] {
            let rows = read(&table.csv(&both).unwrap());
            for named in &both {
                let own = rows.iter().filter(|row| row[RESULT] == named.label).count();
                assert_eq!(2 * own, rows.len());
            }
        }
        let text = Table::Trials.csv(&both).unwrap();
        assert!(text.starts_with("result,run,") && alone.starts_with("run,"));
        let listed = |results: &[Named]| Table::Columns.csv(results).unwrap().contains(RESULT_LINE);
        assert!(listed(&both) && !listed(&one(campaign())));
    }

    const RESULT_LINE: &str = "trials,result,,which result";

    #[test]
    fn the_parquet_file_has_the_rows_and_columns_of_the_csv() {
        use ::parquet::file::reader::FileReader as _;
        let results = one(machines().campaign());
        for table in Table::ALL {
            let csv = table.csv(&results).unwrap();
            let mut csv = ::csv::Reader::from_reader(csv.as_bytes());
            let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
            let file = parquet::tests::opened(&table.parquet(&results).unwrap());
            let facts = file.metadata().file_metadata();
            let columns = facts.schema_descr().columns().iter();
            assert_eq!(columns.map(|column| column.name().to_owned()).collect::<Vec<_>>(), names);
            assert_eq!(usize::try_from(facts.num_rows()).unwrap(), csv.records().count());
        }
    }
}
