//! Unstructured annotations as JSON: texts, numbers, lists and nested groups.

use serde_json::{Map, Value};

use super::H5adFile;
use crate::DataError;
use crate::h5::Kind;

const DEEPEST: usize = 16;
const LONGEST: usize = 1 << 20;

impl H5adFile {
    /// The entry `name` (or `group/name`) of `uns`. Arrays of more than a million elements and types without a JSON
    /// form become null.
    pub(crate) fn uns(&self, name: &str) -> Result<Option<Value>, DataError> {
        let path = format!("uns/{name}");
        if !self.h5.exists(&path) {
            return Ok(None);
        }
        self.value(&path, 0).map(Some)
    }

    fn value(&self, path: &str, depth: usize) -> Result<Value, DataError> {
        if depth > DEEPEST {
            return Ok(Value::Null);
        }
        if self.h5.is_group(path) {
            let mut map = Map::new();
            for name in self.h5.members(path)? {
                let value = self.value(&format!("{path}/{name}"), depth + 1)?;
                map.insert(name, value);
            }
            return Ok(Value::Object(map));
        }
        let dataset = self.h5.dataset(path)?;
        if dataset.len() > LONGEST {
            return Ok(Value::Null);
        }
        let values: Vec<Value> = match dataset.kind() {
            Kind::Text(_) => dataset.texts()?.into_iter().map(Value::from).collect(),
            Kind::Bool => dataset.bools()?.into_iter().map(Value::from).collect(),
            Kind::Int => dataset.i64s()?.into_iter().map(Value::from).collect(),
            Kind::Float { .. } => dataset.f64s()?.into_iter().map(Value::from).collect(),
            Kind::Record(_) | Kind::Other(_) => return Ok(Value::Null),
        };
        Ok(match (dataset.shape().is_empty(), values) {
            (true, mut values) => values.pop().unwrap_or(Value::Null),
            (false, values) => Value::Array(values),
        })
    }
}
