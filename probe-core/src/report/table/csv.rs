//! A table as CSV: a header, and one line per row; unknown values are empty fields.

use super::{Cell, Table};
use crate::error::{Error, Result};

impl<Row> Table<'_, Row> {
    /// The table, with the columns' names as header.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in crate::report) fn csv(&self) -> Result<String> {
        let failed = |why: String| Error::malformed("a table", why);
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        let head = self.columns.iter().map(|column| column.name.to_string()).collect();
        let field = |cell: Cell| cell.line().unwrap_or_default();
        let line = |row| self.columns.iter().map(|column| field(column.cell(row))).collect();
        let lines = self.rows.iter().map(line);
        for line in std::iter::once::<Vec<String>>(head).chain(lines) {
            writer.write_record(line).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }
}
