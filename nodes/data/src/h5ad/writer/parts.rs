//! Small pieces of AnnData's encoding: attributes, dictionaries, texts, arrays.

use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, Group, H5Type, Location, Result, SimpleExtents};
use ndarray::{ArrayView1, ArrayView2};

use super::target::fill;
use super::{Compression, WriteOptions};

/// Elements of a chunk: 256 KiB of f32, below the default chunk cache, large enough to pack well.
pub(super) const CHUNK: usize = 1 << 16;

/// What kind of element this is, as every part of an AnnData file says.
pub(super) fn encoding(location: &Location, kind: &str, version: &str) -> Result<()> {
    text_attribute(location, "encoding-type", kind)?;
    text_attribute(location, "encoding-version", version)
}

pub(super) fn text_attribute(location: &Location, name: &str, text: &str) -> Result<()> {
    location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?)
}

/// An empty dictionary.
pub(super) fn dict(root: &Group, name: &str) -> Result<Group> {
    let group = root.create_group(name)?;
    encoding(&group, "dict", "0.1.0")?;
    Ok(group)
}

/// A single text.
pub(super) fn text(root: &Group, name: &str, text: &str) -> Result<()> {
    let value = unicode(text)?;
    let dataset = root.new_dataset::<VarLenUnicode>().obj_track_times(false).create(name)?;
    fill(dataset, |dataset| {
        dataset.write_scalar(&value)?;
        encoding(dataset, "string", "0.2.0")
    })
}

/// A list of texts.
pub(super) fn texts<S: AsRef<str>>(group: &Group, name: &str, texts: &[S]) -> Result<()> {
    let values = texts.iter().map(|text| unicode(text.as_ref())).collect::<Result<Vec<_>>>()?;
    let builder = group.new_dataset::<VarLenUnicode>().shape(values.len()).obj_track_times(false);
    let dataset = builder.create(name)?;
    fill(dataset, |dataset| {
        if !values.is_empty() {
            dataset.write_raw(&values)?;
        }
        encoding(dataset, "string-array", "0.2.0")
    })
}

/// A list of numbers or truth values.
pub(super) fn list<T: H5Type>(group: &Group, name: &str, values: &[T], options: &WriteOptions) -> Result<()> {
    let dataset = create::<T>(group, name, &[values.len()], false, options)?;
    fill(dataset, |dataset| {
        if !values.is_empty() {
            dataset.write(ArrayView1::from(values))?;
        }
        encoding(dataset, "array", "0.2.0")
    })
}

/// A table of numbers.
pub(super) fn dense(
    root: &Group,
    name: &str,
    rows: usize,
    columns: usize,
    values: &[f32],
    options: &WriteOptions,
) -> Result<()> {
    let dataset = create::<f32>(root, name, &[rows, columns], false, options)?;
    fill(dataset, |dataset| {
        if !values.is_empty() {
            dataset.write(ArrayView2::from_shape((rows, columns), values)?)?;
        }
        encoding(dataset, "array", "0.2.0")
    })
}

/// A dataset without time stamps; packed unless it is empty, since chunks have at least one element.
pub(super) fn create<T: H5Type>(
    group: &Group,
    name: &str,
    shape: &[usize],
    grows: bool,
    options: &WriteOptions,
) -> Result<Dataset> {
    let extents = if grows { SimpleExtents::resizable(shape) } else { SimpleExtents::fixed(shape) };
    let mut builder = group.new_dataset::<T>().shape(extents).obj_track_times(false);
    let packed = matches!(options.compression, Compression::Gzip(_)) && !shape.contains(&0);
    if grows || packed {
        let width: usize = shape[1..].iter().product::<usize>().max(1);
        let rows = (CHUNK / width).max(1);
        let rows = if grows { rows } else { rows.min(shape[0]) };
        let chunk: Vec<usize> = std::iter::once(rows).chain(shape[1..].iter().copied()).collect();
        builder = builder.chunk(chunk);
        if let Compression::Gzip(level) = options.compression {
            builder = builder.shuffle().deflate(level);
        }
    }
    builder.create(name)
}

pub(super) fn unicode(text: &str) -> Result<VarLenUnicode> {
    text.parse().map_err(|_| hdf5::Error::from("a text with a zero byte cannot be stored"))
}
