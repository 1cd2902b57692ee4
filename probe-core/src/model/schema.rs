//! The JSON Schema of `campaign.json`, generated from the types that read it.

use schemars::{generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Value, json};

use super::campaign::{Campaign, SCHEMA_VERSION};

/// What a reader of this version requires of a `campaign.json`: a field is required if the reader
/// cannot do without it.
pub fn campaign() -> Value {
    let mut generator =
        SchemaSettings::draft2020_12().with_transform(RecursiveTransform(plain)).into_generator();
    let mut schema = generator.root_schema_for::<Campaign>();
    schema.insert("$id".into(), json!(format!("urn:tracetoll:campaign:{SCHEMA_VERSION}")));
    let title = format!("campaign.json of tracetoll, schema version {SCHEMA_VERSION}");
    schema.insert("title".into(), json!(title));
    // A reader refuses every other version first.
    if let Some(version) = schema.pointer_mut("/properties/schema_version") {
        *version = json!({ "description": "Version of this schema.", "const": SCHEMA_VERSION });
    }
    schema.into()
}

/// Links between items of the documentation do not work in the schema.
fn plain(schema: &mut schemars::Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`");
    }
}
