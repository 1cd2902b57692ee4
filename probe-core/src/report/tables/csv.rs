//! A table as CSV: a head, and a line per row; what is not known is an empty field.

use super::{Column, Form, Value};
use crate::error::{Error, Result};

/// CSV.
pub(super) struct Csv;

impl Form for Csv {
    type File = String;

    fn write<Row>(columns: &[Column<Row>], rows: &[Row]) -> Result<String> {
        let failed = |why: String| Error::malformed("a table", why);
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        let head = columns.iter().map(|column| column.name.to_owned()).collect();
        let lines =
            rows.iter().map(|row| columns.iter().map(|column| field(column, row)).collect());
        for line in std::iter::once::<Vec<String>>(head).chain(lines) {
            writer.write_record(line).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }
}

fn field<Row>(column: &Column<Row>, row: &Row) -> String {
    match column.value {
        Value::Text(read) => read(row),
        Value::Count(read) => read(row).map(|count| count.to_string()),
        Value::Number(read) => read(row).filter(|n| n.is_finite()).map(|n| n.to_string()),
        Value::Flag(read) => read(row).map(|flag| flag.to_string()),
        Value::Time(read) => read(row).map(|time| time.to_string()),
    }
    .unwrap_or_default()
}
