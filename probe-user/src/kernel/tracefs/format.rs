//! The kernel's own description of its binary events: `events/*/*/format`, `events/header_page`,
//! `events/header_event`. Pure functions of the text.

use std::ops::Range;

/// Why a description could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A line does not have the expected format.
    #[error("line `{0}` cannot be read")]
    Line(String),
    /// A required element is missing.
    #[error("there is no `{0}`")]
    Missing(&'static str),
    /// A field has a size that no kernel has used so far.
    #[error("field `{name}` has {size} bytes, expected {expected}")]
    Size {
        /// The field.
        name: String,
        /// Its size here.
        size: usize,
        /// The size that the decoder reads.
        expected: usize,
    },
    /// The event header encodes something differently.
    #[error("the event header says `{0}`, which this decoder does not support")]
    Encoding(String),
}

/// One field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name, without array brackets.
    pub name: String,
    /// Its bytes in the event's payload; empty if the field's length varies.
    pub bytes: Range<usize>,
    /// Whether it is a signed number.
    pub signed: bool,
}

/// The fields of a `format` or `header_page` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

impl Fields {
    /// Parses every `field:` line of `text`.
    ///
    /// # Errors
    /// A `field:` line has no name, offset or size.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let lines = text.lines().filter(|line| line.trim_start().starts_with("field:"));
        let fields: Result<_, _> = lines
            .map(|line| parse_field(line).ok_or_else(|| FormatError::Line(line.trim().into())))
            .collect();
        Ok(Self(fields?))
    }

    /// The field of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &'static str) -> Result<&Field, FormatError> {
        self.0.iter().find(|field| field.name == name).ok_or(FormatError::Missing(name))
    }

    /// Offset of a field that must have `N` bytes.
    ///
    /// # Errors
    /// It is missing or has another size.
    pub fn offset<const N: usize>(&self, name: &'static str) -> Result<usize, FormatError> {
        let field = self.get(name)?;
        if field.bytes.len() == N {
            return Ok(field.bytes.start);
        }
        Err(FormatError::Size { name: name.into(), size: field.bytes.len(), expected: N })
    }
}

/// `\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;`
fn parse_field(line: &str) -> Option<Field> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?.trim();
    let name = declaration.rsplit([' ', '*']).next()?;
    let name = name.split_once('[').map_or(name, |(name, _)| name);
    let mut number = |key: &str| parts.next()?.strip_prefix(key)?.parse::<usize>().ok();
    let (offset, size) = (number("offset:")?, number("size:")?);
    let signed = number("signed:").unwrap_or(0) != 0;
    let bytes = offset..offset.checked_add(size)?;
    (!name.is_empty()).then(|| Field { name: name.into(), bytes, signed })
}

/// A `format` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The event's name.
    pub name: String,
    /// The number in `common_type` of these events.
    pub id: u16,
    /// Its fields, the common ones first.
    pub fields: Fields,
}

impl Format {
    /// Parses a `format` file.
    ///
    /// # Errors
    /// It has no name or ID, or a field cannot be read.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let value = |key| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let name = value("name:").ok_or(FormatError::Missing("name:"))?;
        let id = value("ID:").ok_or(FormatError::Missing("ID:"))?;
        let id = id.parse().map_err(|_| FormatError::Line(format!("ID: {id}")))?;
        Ok(Self { name: name.into(), id, fields: Fields::parse(text)? })
    }
}

/// Checks that `header_event` describes the encoding that the page decoder supports; all kernels
/// since 2.6.31 use it.
///
/// # Errors
/// It describes another encoding.
pub fn check_event_header(text: &str) -> Result<(), FormatError> {
    const KNOWN: [(&str, &str); 7] = [
        ("type_len", "5 bits"),
        ("time_delta", "27 bits"),
        ("array", "32 bits"),
        ("padding", "type == 29"),
        ("time_extend", "type == 30"),
        ("time_stamp", "type == 31"),
        ("data max type_len", "== 28"),
    ];
    for (key, expected) in KNOWN {
        let mut lines = text.lines().map(str::trim);
        let found = lines.find_map(|line| Some((line, line.strip_prefix(key)?)));
        let (line, value) = found.ok_or(FormatError::Missing(key))?;
        if value.trim_start_matches([' ', ':']) != expected {
            return Err(FormatError::Encoding(line.into()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FUNCTION: &str = "\
name: function
ID: 1
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;
\tfield:char *name;\toffset:16;\tsize:8;\tsigned:0;
\tfield:unsigned long args[];\toffset:24;\tsize:0;\tsigned:0;

print fmt: \" %ps <-- %ps\", (void *)REC->ip, (void *)REC->parent_ip
";

    #[test]
    fn fields_are_found_by_name() {
        let format = Format::parse(FUNCTION).unwrap();
        assert_eq!((format.name.as_str(), format.id), ("function", 1));
        assert_eq!(format.fields.offset::<8>("ip"), Ok(8));
        assert!(format.fields.get("common_pid").unwrap().signed);
        assert_eq!(format.fields.get("name").unwrap().bytes, 16..24);
        assert!(format.fields.get("args").unwrap().bytes.is_empty());
    }

    #[test]
    fn what_is_not_there_or_differs_is_named() {
        let format = Format::parse(FUNCTION).unwrap();
        assert_eq!(format.fields.offset::<8>("depth"), Err(FormatError::Missing("depth")));
        let size = format.fields.offset::<8>("common_type");
        assert_eq!(
            size,
            Err(FormatError::Size { name: "common_type".into(), size: 2, expected: 8 })
        );
        assert_eq!(Format::parse("name: x\n"), Err(FormatError::Missing("ID:")));
        let broken = "name: x\nID: 1\n\tfield:int a;\toffset:x;\tsize:4;\n";
        assert!(matches!(Format::parse(broken), Err(FormatError::Line(_))));
    }

    #[test]
    fn another_event_encoding_is_refused() {
        let known = "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 \
                     bits\n\tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend \
                     : type == 30\n\ttime_stamp : type == 31\n\tdata max type_len  == 28\n";
        check_event_header(known).unwrap();
        let other = known.replace("type == 30", "type == 28");
        assert_eq!(
            check_event_header(&other),
            Err(FormatError::Encoding("time_extend : type == 28".into()))
        );
        assert_eq!(check_event_header(""), Err(FormatError::Missing("type_len")));
    }

    proptest! {
        #[test]
        fn any_field_is_read_back(
            name in "[a-z_][a-z0-9_]{0,20}", offset in 0_usize..4096, size in 0_usize..256, signed: bool,
        ) {
            let line = format!(
                "\tfield:unsigned long {name};\toffset:{offset};\tsize:{size};\tsigned:{};\n",
                u8::from(signed),
            );
            let fields = Fields::parse(&line).unwrap();
            prop_assert_eq!(fields.0, vec![Field { name, bytes: offset..offset + size, signed }]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(field:|ID:|name:|offset:|size:|[ -~\n\t]){0,200}") {
            let _ = Format::parse(&text);
            let _ = check_event_header(&text);
        }
    }
}
