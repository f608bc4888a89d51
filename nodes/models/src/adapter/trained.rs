//! Weights that are trained as a whole, and how they become tensors of a checkpoint again.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Slot;
use crate::error::ModelError;

/// Shape and row-major values of a tensor.
pub type Shaped = (Vec<usize>, Vec<f32>);

/// Tensors as a checkpoint has them, by full name.
pub type Tensors = BTreeMap<String, Shaped>;

/// Which part of a checkpoint's tensor a model holds as one tensor. Most are held as they are; queries, keys and values that a
/// file keeps in one weight are held apart, and the weight of GPT-2's `Conv1D` is held transposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The shape of the tensor in the checkpoint.
    pub shape: Vec<usize>,
    /// Rows of the tensor, or of its transpose, that are held.
    pub rows: Range<usize>,
    /// Whether the transpose of the matrix is held.
    pub turned: bool,
}

impl Part {
    /// All of a tensor.
    pub(crate) fn whole(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), rows: 0..shape.first().copied().unwrap_or(1), turned: false }
    }

    /// Some rows of a tensor.
    pub(crate) fn rows(shape: &[usize], rows: Range<usize>) -> Self {
        Self { shape: shape.to_vec(), rows, turned: false }
    }

    /// Some rows of the transpose of a matrix.
    pub(crate) fn turned(shape: [usize; 2], rows: Range<usize>) -> Self {
        Self { shape: shape.to_vec(), rows, turned: true }
    }

    /// Values of the whole tensor, and of one row that is held.
    fn sizes(&self) -> [usize; 2] {
        let whole = self.shape.iter().product();
        let rows = if self.turned { self.shape.last() } else { self.shape.first() };
        [whole, whole / rows.copied().unwrap_or(1).max(1)]
    }

    /// Puts the values that are held into the whole tensor, and counts them.
    fn put(&self, values: &[f32], whole: &mut [f32]) -> Option<usize> {
        let [_, row] = self.sizes();
        let columns = self.shape.last().copied().unwrap_or(1);
        if values.len() != self.rows.len() * row || self.rows.end * row > whole.len() {
            return None;
        }
        if !self.turned {
            whole[self.rows.start * row..self.rows.end * row].copy_from_slice(values);
            return Some(values.len());
        }
        for (column, values) in self.rows.clone().zip(values.chunks_exact(row.max(1))) {
            for (line, &value) in values.iter().enumerate() {
                whole[line * columns + column] = value;
            }
        }
        Some(values.len())
    }
}

/// A weight that is trained as a whole.
#[derive(Clone, Debug)]
pub struct TrainedWeight {
    /// Full name of the tensor in the checkpoint, without what wrappers put around it.
    pub name: String,
    /// Which part of that tensor the slot holds.
    pub part: Part,
    /// Where the model reads it, in f32.
    pub slot: Slot,
}

impl TrainedWeight {
    /// The module that the tensor belongs to: its name without the last step.
    #[must_use]
    pub fn module(&self) -> &str {
        module_of(&self.name)
    }
}

/// The module of a tensor: what patterns name and peft saves.
pub(crate) fn module_of(tensor: &str) -> &str {
    tensor.rsplit_once('.').map_or("", |(module, _)| module)
}

/// The tensors of a checkpoint that these weights are, from the values of their slots (row-major).
///
/// # Errors
/// [`ModelError::Adapter`] when a part of a tensor is missing or has another number of values.
pub fn assemble<'a>(
    weights: impl IntoIterator<Item = (&'a TrainedWeight, Vec<f32>)>,
) -> Result<Tensors, ModelError> {
    let mut tensors = Tensors::new();
    let mut filled: BTreeMap<&str, usize> = BTreeMap::new();
    for (weight, values) in weights {
        let (name, part) = (weight.name.as_str(), &weight.part);
        let [size, _] = part.sizes();
        let (_, whole) =
            tensors.entry(name.to_owned()).or_insert_with(|| (part.shape.clone(), vec![0.0; size]));
        let count = part.put(&values, whole).ok_or_else(|| {
            let (found, rows) = (values.len(), &part.rows);
            ModelError::Adapter(format!("{found} values are not the rows {rows:?} of the tensor {name}"))
        })?;
        *filled.entry(name).or_default() += count;
    }
    for (name, (_, values)) in &tensors {
        let count = filled.get(name.as_str()).copied().unwrap_or_default();
        if count != values.len() {
            let size = values.len();
            let what = format!("only {count} of the {size} values of the tensor {name} are given");
            return Err(ModelError::Adapter(what));
        }
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use celldag_shaders::Device;

    use super::*;

    fn weight(name: &str, part: Part) -> TrainedWeight {
        let slot = Slot::new(Device::cpu(1).unwrap().zeros(&[1]).unwrap());
        TrainedWeight { name: name.to_owned(), part, slot }
    }

    #[test]
    fn parts_become_tensors_again() {
        let shape = [2, 6];
        let all = [
            (weight("a.bias", Part::whole(&[3])), vec![1.0, 2.0, 3.0]),
            (weight("b.weight", Part::rows(&[4, 2], 2..4)), vec![5.0, 6.0, 7.0, 8.0]),
            (weight("b.weight", Part::rows(&[4, 2], 0..2)), vec![1.0, 2.0, 3.0, 4.0]),
            // Columns 0 and 1, then 2 to 5, of a matrix of 2 rows.
            (weight("c.weight", Part::turned(shape, 0..2)), vec![1.0, 7.0, 2.0, 8.0]),
            (weight("c.weight", Part::turned(shape, 2..6)), vec![3.0, 9.0, 4.0, 10.0, 5.0, 11.0, 6.0, 12.0]),
        ];
        let tensors = assemble(all.iter().map(|(weight, values)| (weight, values.clone()))).unwrap();
        assert_eq!(tensors["a.bias"], (vec![3], vec![1.0, 2.0, 3.0]));
        assert_eq!(tensors["b.weight"], (vec![4, 2], (1_u8..9).map(f32::from).collect()));
        assert_eq!(tensors["c.weight"], (vec![2, 6], (1_u8..13).map(f32::from).collect()));
        assert_eq!(all[1].0.module(), "b");
    }

    #[test]
    fn half_a_tensor_is_refused() {
        let half = weight("b.weight", Part::rows(&[4, 2], 2..4));
        let message = assemble([(&half, vec![0.0; 4])]).unwrap_err().to_string();
        assert!(message.contains("4 of the 8 values of the tensor b.weight"), "{message}");
        let message = assemble([(&half, vec![0.0; 5])]).unwrap_err().to_string();
        assert!(message.contains("5 values") && message.contains("2..4"), "{message}");
    }
}
