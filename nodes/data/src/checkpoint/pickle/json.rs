//! Plain values as JSON, for configurations that stand beside tensors.

use serde_json::{Map, Value as Json};

use super::error::PickleError;
use super::value::Value;

/// Values of the result; one that is shared counts once for every place that holds it. The largest published
/// configuration holds a list of 20,000 genes.
const MAX_VALUES: usize = 1 << 20;
/// Bytes of text of the result.
const MAX_TEXT: usize = 16 << 20;

/// What is left of both.
struct Budget {
    values: usize,
    text: usize,
}

impl Value<'_> {
    /// The value as JSON: tensors left out (`None` when nothing is left), tuples and sets as lists, keys as text, numbers
    /// that JSON does not have and bytes as text.
    ///
    /// # Errors
    /// [`PickleError::TooLarge`] for what is larger than any configuration.
    pub fn to_json(self) -> Result<Option<Json>, PickleError> {
        convert(self, &mut Budget { values: MAX_VALUES, text: MAX_TEXT })
    }
}

impl Budget {
    fn values(&mut self, count: usize) -> Result<(), PickleError> {
        let error = PickleError::TooLarge { what: "values beside tensors", limit: MAX_VALUES };
        self.values = self.values.checked_sub(count).ok_or(error)?;
        Ok(())
    }

    fn text(&mut self, count: usize) -> Result<(), PickleError> {
        let error = PickleError::TooLarge { what: "bytes of text beside tensors", limit: MAX_TEXT };
        self.text = self.text.checked_sub(count).ok_or(error)?;
        Ok(())
    }
}

/// Recursion ends because a pickle is free of cycles and no deeper than its limit.
fn convert(value: Value<'_>, left: &mut Budget) -> Result<Option<Json>, PickleError> {
    left.values(1)?;
    if let Some(entries) = value.entries() {
        let (mut out, count) = (Map::new(), entries.len());
        for (key, value) in entries {
            let key = match (key.as_str(), key.as_i64()) {
                (Some(text), _) => text.to_owned(),
                (None, Some(number)) => number.to_string(),
                (None, None) => format!("<{}>", key.type_name()),
            };
            left.text(key.len())?;
            if let Some(value) = convert(value, left)? {
                out.insert(key, value);
            }
        }
        return Ok((count == 0 || !out.is_empty()).then_some(Json::Object(out)));
    }
    if let Some(items) = value.items() {
        let (mut out, count) = (Vec::new(), items.len());
        for item in items {
            out.extend(convert(item, left)?);
        }
        return Ok((count == 0 || !out.is_empty()).then_some(Json::Array(out)));
    }
    if let Some(array) = value.as_array() {
        left.values(array.values.len())?;
        return Ok(Some(Json::Array(array.values.iter().map(|&number| float(number)).collect())));
    }
    if let Some(text) = value.as_str() {
        left.text(text.len())?;
        return Ok(Some(Json::from(text)));
    }
    Ok(match value.type_name() {
        "None" => Some(Json::Null),
        "bool" => value.as_bool().map(Json::from),
        "int" => value.as_i64().map(Json::from),
        "float" => value.as_f64().map(float),
        "bytes" => value.as_bytes().map(|bytes| Json::from(format!("<{} bytes>", bytes.len()))),
        "torch.Tensor" | "torch.Storage" => None,
        other => Some(Json::from(format!("<{other}>"))),
    })
}

fn float(number: f64) -> Json {
    serde_json::Number::from_f64(number).map_or_else(|| Json::from(number.to_string()), Json::Number)
}
