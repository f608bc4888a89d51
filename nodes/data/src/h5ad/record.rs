//! Tables and embeddings of AnnData before 0.7: NumPy record arrays, one record per row.
//!
//! Categorical columns are codes whose names lie in `uns/<column>_categories`.

use hdf5::types::{CompoundField, FloatSize, IntSize, TypeDescriptor};
use indexmap::IndexMap;

use crate::h5::{H5Dataset, H5File, Kind, trim_nul};
use crate::{Column, DataError, Table};

/// Reads the record array `name` as a table.
pub(super) fn read(h5: &H5File, name: &str, warnings: &mut Vec<String>) -> Result<Table, DataError> {
    let records = Records::open(h5, name)?;
    let is_text = |field: &&CompoundField| {
        matches!(field.ty, TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_))
    };
    let index_field = records
        .fields
        .iter()
        .find(|field| ["index", "_index"].contains(&field.name.as_str()))
        .or_else(|| records.fields.iter().find(is_text))
        .ok_or_else(|| records.dataset.malformed("none of its fields names the rows"))?;
    let Some(index) = records.column(index_field) else {
        return Err(records.dataset.malformed("its index is no list of names"));
    };
    let index: Vec<String> = (0..index.len())
        .map(|row| index.as_text(row).map(std::borrow::Cow::into_owned).unwrap_or_default())
        .collect();
    let mut columns = IndexMap::new();
    for field in records.fields.iter().filter(|field| field.name != index_field.name) {
        let Some(column) = records.column(field) else {
            let column = &field.name;
            warnings
                .push(format!("the column {name}/{column} is of a kind that is not read and was left out"));
            continue;
        };
        columns.insert(field.name.clone(), with_categories(h5, &field.name, column)?);
    }
    Ok(Table { index_name: index_field.name.clone(), index, columns })
}

/// Names of the numeric fields with several values per row: the embeddings in a record array `obsm`.
pub(super) fn array_fields(h5: &H5File, name: &str) -> Result<Vec<String>, DataError> {
    let records = Records::open(h5, name)?;
    let is_array = |field: &&CompoundField| matches!(field.ty, TypeDescriptor::FixedArray(..));
    Ok(records.fields.iter().filter(is_array).map(|field| field.name.clone()).collect())
}

/// Dimensions and values of an array field.
pub(super) fn array(h5: &H5File, name: &str, field: &str) -> Result<(usize, Vec<f32>), DataError> {
    let records = Records::open(h5, name)?;
    let found = records.fields.iter().find(|f| f.name == field);
    let Some(CompoundField { ty: TypeDescriptor::FixedArray(element, width), offset, .. }) = found else {
        return Err(DataError::missing(h5.path(), format!("{name}/{field}"), array_fields(h5, name)?));
    };
    let size = element.size();
    let mut values = Vec::with_capacity(records.len() * width);
    for record in records.iter() {
        for at in 0..*width {
            let bytes = &record[offset + at * size..offset + (at + 1) * size];
            let value = number(element, bytes, records.big_endian).ok_or_else(|| {
                records.dataset.malformed(format!("the field {field} does not hold numbers"))
            })?;
            values.push(value as f32);
        }
    }
    Ok((*width, values))
}

/// A record array in memory.
struct Records {
    dataset: H5Dataset,
    fields: Vec<CompoundField>,
    size: usize,
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Records {
    fn open(h5: &H5File, name: &str) -> Result<Self, DataError> {
        let dataset = h5.dataset(name)?;
        dataset.expect_list()?;
        let Kind::Record(compound) = dataset.kind() else {
            return Err(dataset.malformed(format!("a table was expected, it holds {}", dataset.kind_name())));
        };
        let (mut fields, size) = (compound.fields.clone(), compound.size);
        fields.sort_by_key(|field| field.index);
        if size == 0 || fields.iter().any(|field| field.offset + field.ty.size() > size) {
            return Err(dataset.malformed("its fields reach beyond its records"));
        }
        let big_endian = dataset.is_big_endian()?;
        let bytes = dataset.bytes()?;
        Ok(Self { fields, size, bytes, big_endian, dataset })
    }

    fn len(&self) -> usize {
        self.bytes.len() / self.size
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.size)
    }

    /// One field of all records; `None` if it is no single number, truth value or text.
    fn column(&self, field: &CompoundField) -> Option<Column> {
        let cell = |record: &'_ [u8]| record[field.offset..field.offset + field.ty.size()].to_vec();
        Some(match &field.ty {
            TypeDescriptor::FixedAscii(_) | TypeDescriptor::FixedUnicode(_) => {
                let text = |record| Some(String::from_utf8_lossy(trim_nul(&cell(record))).into_owned());
                Column::Text(self.iter().map(text).collect())
            }
            TypeDescriptor::Boolean => {
                Column::Bool(self.iter().map(|record| Some(cell(record) != [0])).collect())
            }
            TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_) => {
                let value = |record| integer(&field.ty, &cell(record), self.big_endian);
                Column::Int(self.iter().map(value).collect())
            }
            TypeDescriptor::Float(_) => {
                let value = |record| number(&field.ty, &cell(record), self.big_endian);
                Column::Float(self.iter().map(|record| value(record).unwrap_or(f64::NAN)).collect())
            }
            _ => return None,
        })
    }
}

/// Turns codes into a categorical column if `uns` names them.
fn with_categories(h5: &H5File, name: &str, column: Column) -> Result<Column, DataError> {
    let path = format!("uns/{name}_categories");
    let Column::Int(values) = &column else { return Ok(column) };
    if !h5.is_dataset(&path) {
        return Ok(column);
    }
    let names = h5.dataset(&path)?;
    let categories = if names.is_number() {
        names.f64s()?.iter().map(f64::to_string).collect::<Vec<_>>()
    } else {
        names.texts()?
    };
    let code =
        |value: &Option<i64>| value.filter(|&v| v >= -1 && v < categories.len() as i64).map(|v| v as i32);
    match values.iter().map(code).collect::<Option<Vec<i32>>>() {
        Some(codes) => Ok(Column::Categorical { codes, categories, ordered: false }),
        None => Err(names.malformed("the table has codes without a category")),
    }
}

/// The first 8 bytes in little-endian order; shorter values are extended by zeros.
fn little(bytes: &[u8], big_endian: bool) -> [u8; 8] {
    let mut out = [0; 8];
    for (to, &from) in out.iter_mut().zip(bytes) {
        *to = from;
    }
    if big_endian {
        out[..bytes.len().min(8)].reverse();
    }
    out
}

fn integer(ty: &TypeDescriptor, bytes: &[u8], big_endian: bool) -> Option<i64> {
    let raw = i64::from_le_bytes(little(bytes, big_endian));
    match ty {
        TypeDescriptor::Unsigned(_) => Some(raw),
        TypeDescriptor::Integer(size) => {
            let shift = match size {
                IntSize::U1 => 56,
                IntSize::U2 => 48,
                IntSize::U4 => 32,
                IntSize::U8 => 0,
            };
            Some(raw << shift >> shift)
        }
        _ => None,
    }
}

fn number(ty: &TypeDescriptor, bytes: &[u8], big_endian: bool) -> Option<f64> {
    let bits = u64::from_le_bytes(little(bytes, big_endian));
    match ty {
        TypeDescriptor::Float(FloatSize::U4) => Some(f64::from(f32::from_bits(bits as u32))),
        TypeDescriptor::Float(FloatSize::U8) => Some(f64::from_bits(bits)),
        _ => integer(ty, bytes, big_endian).map(|value| value as f64),
    }
}
