//! A table as a Parquet file: one row group of typed, nullable columns. It is not compressed, since
//! columns of repeated words and numbers are stored as dictionaries anyway.
//!
//! The format has no place for a column's unit that readers look at, so the file's own metadata
//! describes the columns.

use std::sync::Arc;

use parquet::{
    basic::{LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::{ParquetError, Result},
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};

use super::{Column, Table, Value};
use crate::error::{self, Error};

/// Key of the file's metadata whose value has name, unit and meaning of each column, as JSON.
const COLUMNS: &str = "tracetoll.columns";

impl<Row> Table<'_, Row> {
    /// The table, with the same columns as in CSV.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in crate::report) fn parquet(&self) -> error::Result<Vec<u8>> {
        file(self).map_err(|e| Error::malformed("a table", e.to_string()))
    }
}

fn file<Row>(Table { columns, rows }: &Table<'_, Row>) -> Result<Vec<u8>> {
    let fields = columns.iter().map(|column| field(column).map(Arc::new));
    let schema = Type::group_type_builder("schema").with_fields(fields.collect::<Result<_>>()?);
    let about = KeyValue::new(COLUMNS.to_owned(), metadata(columns));
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![about]));
    let mut writer = SerializedFileWriter::new(
        Vec::new(),
        Arc::new(schema.build()?),
        Arc::new(properties.build()),
    )?;
    let mut group = writer.next_row_group()?;
    for column in columns {
        let left = || ParquetError::General("the schema has fewer columns".into());
        let mut chunk = group.next_column()?.ok_or_else(left)?;
        fill(&mut chunk, column, rows)?;
        chunk.close()?;
    }
    group.close()?;
    writer.into_inner()
}

fn metadata<Row>(columns: &[Column<'_, Row>]) -> String {
    let all = columns.iter().map(|Column { name, unit, about, .. }| {
        serde_json::json!({ "column": name, "unit": unit, "about": about })
    });
    serde_json::Value::Array(all.collect()).to_string()
}

fn field<Row>(column: &Column<'_, Row>) -> Result<Type> {
    let (physical, logical) = match column.value {
        Value::Cell(_) | Value::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Value::Count(_) => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Value::Number(_) => (Physical::DOUBLE, None),
        Value::Flag(_) => (Physical::BOOLEAN, None),
        Value::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

fn fill<Row>(
    chunk: &mut SerializedColumnWriter<'_>,
    column: &Column<'_, Row>,
    rows: &[Row],
) -> Result<()> {
    match column.value {
        Value::Cell(_) | Value::Text(_) => {
            let text = |row| Some(column.cell(row).line()?.into_bytes().into());
            put::<ByteArrayType>(chunk, rows.iter().map(text))
        }
        // The format stores unsigned numbers in the same 64 bits.
        Value::Count(read) => {
            put::<Int64Type>(chunk, rows.iter().map(|row| Some(read(row)?.cast_signed())))
        }
        Value::Number(read) => {
            put::<DoubleType>(chunk, rows.iter().map(|row| read(row).filter(|n| n.is_finite())))
        }
        Value::Flag(read) => put::<BoolType>(chunk, rows.iter().map(read)),
        Value::Time(read) => {
            put::<Int64Type>(chunk, rows.iter().map(|row| Some(read(row)?.as_microsecond())))
        }
    }
}

/// The existing values, and for each row whether it has one.
fn put<Kind: DataType>(
    chunk: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<Kind::T>>,
) -> Result<()> {
    let (mut known, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        known.extend(value);
    }
    chunk.typed::<Kind>().write_batch(&known, Some(&levels), None)?;
    Ok(())
}

#[cfg(test)]
pub(in crate::report) mod tests {
    use std::{fs::File, io::Write as _};

    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::Field,
    };

    use super::*;

    /// The file as a reader sees it.
    pub(in crate::report) fn opened(bytes: &[u8]) -> SerializedFileReader<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    struct Row(Option<u64>);

    fn columns() -> Vec<Column<'static, Row>> {
        vec![
            Column::count("n", "ns", "a number", |row| row.0),
            Column::text("word", "a word", |row| Some(format!("{}", row.0?))),
            Column::number("x", "s", "not finite is null", |row| {
                Some(row.0.map_or(f64::NAN, |_| 0.5))
            }),
            Column::flag("known", "whether it is known", |row| Some(row.0.is_some())),
            Column::time("at", "when", |_| "2026-11-23T01:02:03.000004Z".parse().ok()),
        ]
    }

    #[test]
    fn values_and_nulls_read_back_with_their_types() {
        let rows = [Row(Some(u64::MAX)), Row(None), Row(Some(7))];
        let reader = opened(&Table::new(rows, columns()).parquet().unwrap());
        let read: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect())
            .collect();
        let at = Field::TimestampMicros(1_795_395_723_000_004);
        let first = [
            Field::ULong(u64::MAX),
            Field::Str(u64::MAX.to_string()),
            Field::Double(0.5),
            Field::Bool(true),
            at.clone(),
        ];
        assert_eq!(read[0], first);
        assert_eq!(read[1], [Field::Null, Field::Null, Field::Null, Field::Bool(false), at]);
        assert_eq!(read.len(), 3);
        let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let about = about.iter().find(|pair| pair.key == COLUMNS).unwrap();
        let about: serde_json::Value =
            serde_json::from_str(about.value.as_deref().unwrap()).unwrap();
        assert_eq!(
            about[0],
            serde_json::json!({ "column": "n", "unit": "ns", "about": "a number" })
        );
    }

    #[test]
    fn a_table_without_rows_keeps_its_columns() {
        let reader = opened(&Table::new([], columns()).parquet().unwrap());
        assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
        assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), 5);
    }
}
