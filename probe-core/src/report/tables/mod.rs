//! Trials, bins and figures for pandas, DuckDB and similar tools. Unknown values are null, never
//! zero.

mod about;
mod bins;
mod figures;
mod trials;

use super::{
    results::NamedCampaign,
    table::{Column, Table},
};
use crate::error::Result;

/// A table of results for other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataset {
    /// One row per trial, including failed ones.
    Trials,
    /// One row per bin of a trial and item that the reference counter or the method saw in it.
    Bins,
    /// One row per figure of a method.
    Figures,
    /// A description of each column of the other tables.
    Columns,
}

/// The table in one format; with several results, each row names its result.
macro_rules! written {
    ($dataset:expr, $results:expr, $form:ident) => {{
        let several = $results.len() > 1;
        let all = || $results.iter();
        match $dataset {
            Self::Trials => table(all().flat_map(trials::rows), trials::columns(), several).$form(),
            Self::Bins => table(all().flat_map(bins::rows), bins::columns(), several).$form(),
            Self::Figures => {
                table(all().flat_map(figures::rows), figures::columns(), several).$form()
            }
            Self::Columns => about::table(several).$form(),
        }
    }};
}

impl Dataset {
    /// All tables.
    pub const ALL: [Self; 4] = [Self::Trials, Self::Bins, Self::Figures, Self::Columns];

    /// The name of its file, without the extension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trials => "trials",
            Self::Bins => "bins",
            Self::Figures => "figures",
            Self::Columns => "columns",
        }
    }

    /// As CSV.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn csv(self, results: &[NamedCampaign]) -> Result<String> {
        written!(self, results, csv)
    }

    /// As a Parquet file, with the same columns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn parquet(self, results: &[NamedCampaign]) -> Result<Vec<u8>> {
        written!(self, results, parquet)
    }
}

/// Name of the column that says from which result a row is.
const RESULT: &str = "result";

fn result<'a, Row>(read: fn(&Row) -> Option<String>) -> Column<'a, Row> {
    Column::text(RESULT, "which result; only in tables of several results", read)
}

/// The table, without the column for the result unless there are `several`.
fn table<'a, Row>(
    rows: impl Iterator<Item = Row>,
    mut columns: Vec<Column<'a, Row>>,
    several: bool,
) -> Table<'a, Row> {
    columns.retain(|column| several || column.name != RESULT);
    Table::new(rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::{campaign, machines},
        model::campaign::Campaign,
        report::{results::named, table::parquet::tests::opened},
    };

    fn one(campaign: Campaign) -> Vec<NamedCampaign> {
        named(vec![("a".into(), campaign)])
    }

    fn read(text: &str) -> Vec<std::collections::BTreeMap<String, String>> {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.unwrap()).collect()
    }

    #[test]
    fn each_trial_is_a_row_and_what_is_not_known_is_empty() {
        let campaign = campaign();
        let rows = read(&Dataset::Trials.csv(&one(campaign.clone())).unwrap());
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
        // Each time keeps three digits.
        let paced: f64 = find("overhead", "paced", "off")["latency_p50_us"].parse().unwrap();
        assert!((paced / 500.0 - 1.0).abs() < 2e-3, "{paced}");
        let failed = rows.iter().find(|row| !row["why"].is_empty()).unwrap();
        assert_eq!((&*failed["method"], &*failed["worker_ns"]), ("ftrace-function", ""));
    }

    #[test]
    fn each_bin_is_a_row_for_each_item_that_anybody_saw() {
        let campaign = machines().campaign();
        let rows = read(&Dataset::Bins.csv(&one(campaign)).unwrap());
        let of = |method: &str, item: &str| {
            let found = rows.iter().filter(|row| row["method"] == method && row["item"] == item);
            found.collect::<Vec<_>>()
        };
        let traced = of("ftrace-function", "handle_tx");
        assert_eq!(traced.len(), 128);
        let last = traced.last().unwrap();
        assert_eq!((&*last["bin"], &*last["start_s"], &*last["length_s"]), ("127", "127", "1"));
        assert_eq!((&*last["hogs"], &*last["senders"]), ("3", "1"));
        // The last bin of the last step: 6000 calls minus a tenth.
        assert_eq!((&*last["reference_calls"], &*last["shown"]), ("5400", "5400"));
        assert_eq!((&*last["shown_unit"], &*last["calls_per_unit"]), ("calls", "1"));
        let profiled = of("perf-sample-999-callchain", "handle_tx")[0];
        assert_eq!((&*profiled["shown_unit"], &*profiled["shown"]), ("cpu_share_pct", "20"));
        assert_eq!(of("off", "handle_tx")[0]["shown"], "");
    }

    #[test]
    fn each_figure_is_a_row_with_its_unit_or_why_it_has_no_number() {
        let rows = read(&Dataset::Figures.csv(&one(campaign())).unwrap());
        let find = |method: &str, figure: &str| {
            rows.iter().find(|row| row["method"] == method && row["figure"] == figure).unwrap()
        };
        let cost = find("bpf-fentry-count", "overhead.kernel_ns_per_event");
        assert_eq!((&*cost["unit"], &*cost["worse"], &*cost["platform"]), ("ns", "up", "counted"));
        // 230 ns, and a mean of 4.8 by which its blocks vary.
        assert_eq!((&*cost["estimate"], &*cost["n"], &*cost["why"]), ("234.8", "5", ""));
        let none = find("perf-sample-999-callchain", "overhead.kernel_ns_per_event");
        assert!(none["estimate"].is_empty() && none["why"].starts_with("a profiler"), "{none:?}");
    }

    #[test]
    fn every_column_is_described_with_its_unit_and_has_a_name_of_its_own() {
        let rows = read(&Dataset::Columns.csv(&[]).unwrap());
        let names = rows.iter().map(|row| (&row["table"], &row["column"]));
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>().len(), rows.len());
        let ns = rows.iter().find(|row| row["column"] == "worker_ns").unwrap();
        assert_eq!((&*ns["table"], &*ns["unit"]), ("trials", "ns"));
    }

    #[test]
    fn rows_of_several_results_say_which_they_are_of() {
        let alone = Dataset::Trials.csv(&one(campaign())).unwrap();
        let mut other = campaign();
        other.design.kernel = "6.1.0-test".into();
        let both = named(vec![("a".into(), campaign()), ("b".into(), other)]);
        for table in [Dataset::Trials, Dataset::Bins, Dataset::Figures] {
            let rows = read(&table.csv(&both).unwrap());
            for named in &both {
                let own = rows.iter().filter(|row| row[RESULT] == named.label).count();
                assert_eq!(2 * own, rows.len());
            }
        }
        let text = Dataset::Trials.csv(&both).unwrap();
        assert!(text.starts_with("result,run,") && alone.starts_with("run,"));
        let listed = |results: &[NamedCampaign]| {
            Dataset::Columns.csv(results).unwrap().contains(RESULT_LINE)
        };
        assert!(listed(&both) && !listed(&one(campaign())));
    }

    const RESULT_LINE: &str = "trials,result,,which result";

    #[test]
    fn the_parquet_file_has_the_rows_and_columns_of_the_csv() {
        use ::parquet::file::reader::FileReader as _;
        let results = one(machines().campaign());
        for table in Dataset::ALL {
            let csv = table.csv(&results).unwrap();
            let mut csv = ::csv::Reader::from_reader(csv.as_bytes());
            let names: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
            let file = opened(&table.parquet(&results).unwrap());
            let facts = file.metadata().file_metadata();
            let columns = facts.schema_descr().columns().iter();
            assert_eq!(columns.map(|column| column.name().to_owned()).collect::<Vec<_>>(), names);
            assert_eq!(usize::try_from(facts.num_rows()).unwrap(), csv.records().count());
        }
    }
}
