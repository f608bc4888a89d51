//! A training as bytes, to go on with it in another process as if there had been no interruption.
//!
//! The bytes are a safetensors file: f32 tensors `now/*` (what the learner is, with the memory of its optimiser) and `best/*`
//! (the best epoch), f64 `batch_losses`, and a text `training` with the rest as JSON. Floating-point numbers are kept by their
//! bits.

mod header;
mod state;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use header::Header;
pub use state::{SavedState, SavedTensor};

use super::fit::Learner;
use super::progress::{Kept, Progress};

/// What the text of the header is called.
const TEXT: &str = "training";
/// What the names of the learner's tensors begin with, and those of the best epoch.
const PREFIXES: [&str; 2] = ["now/", "best/"];
const BATCH_LOSSES: &str = "batch_losses";

/// A learner that can be written down and made again.
pub trait Resumable: Learner {
    /// All that training changes, with what the optimiser remembers.
    ///
    /// # Errors
    /// Those of the learner.
    fn save(&self) -> Result<SavedState, Self::Error>;

    /// Becomes what was saved; false, and nothing changes, if that is of another learner.
    ///
    /// # Errors
    /// Those of the learner.
    fn load(&mut self, saved: &SavedState) -> Result<bool, Self::Error>;

    /// A state of [`Learner::snapshot`].
    ///
    /// # Errors
    /// Those of the learner.
    fn save_kept(&self, state: &Self::State) -> Result<SavedState, Self::Error>;

    /// The state that was saved; none if it is of another learner.
    ///
    /// # Errors
    /// Those of the learner.
    fn load_kept(&self, saved: &SavedState) -> Result<Option<Self::State>, Self::Error>;
}

/// `progress` and the learner that belongs to it as bytes; `of` says which training this is. Of a training that is over only
/// the result is kept. None if there is no such file (more tensors or bytes than the format has).
///
/// # Errors
/// Those of the learner.
pub fn write_training<L: Resumable>(
    learner: &L,
    progress: &Progress<L::State>,
    of: &str,
) -> Result<Option<Vec<u8>>, L::Error> {
    let now = if progress.finished { SavedState::default() } else { learner.save()? };
    let best = progress.best.as_ref().map(|kept| learner.save_kept(&kept.state)).transpose()?;
    let states = [now, best.unwrap_or_default()];
    let header = Header::new(of, progress, states.each_ref().map(|state| &state.numbers));
    Ok(bytes_of(&states, &progress.batch_losses, &header))
}

/// The progress that `bytes` tell of, and `learner` as it was then. None, and nothing changes, if they are damaged, of
/// another training than `of`, or of another learner.
///
/// # Errors
/// Those of the learner.
pub fn read_training<L: Resumable>(
    learner: &mut L,
    bytes: &[u8],
    of: &str,
) -> Result<Option<Progress<L::State>>, L::Error> {
    let Some((header, [now, best], batch_losses)) = read(bytes, of) else { return Ok(None) };
    let best = match header.best() {
        Some((epoch, loss)) => match learner.load_kept(&best)? {
            Some(state) => Some(Kept { loss, epoch, state }),
            None => return Ok(None),
        },
        None => None,
    };
    if !header.finished && !learner.load(&now)? {
        return Ok(None);
    }
    Ok(Some(header.progress(batch_losses, best)))
}

fn bytes_of(states: &[SavedState; 2], batch_losses: &[f64], header: &Header) -> Option<Vec<u8>> {
    let mut tensors = Vec::new();
    for (prefix, state) in PREFIXES.iter().zip(states) {
        for (name, SavedTensor { shape, values }) in &state.tensors {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            tensors.push((format!("{prefix}{name}"), Dtype::F32, shape.clone(), bytes));
        }
    }
    let losses: Vec<u8> = batch_losses.iter().flat_map(|loss| loss.to_bits().to_le_bytes()).collect();
    tensors.push((BATCH_LOSSES.to_owned(), Dtype::F64, vec![batch_losses.len()], losses));
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().ok()?;
    let text = serde_json::to_string(header).ok()?;
    safetensors::serialize(views, Some([(TEXT.to_owned(), text)].into())).ok()
}

fn read(bytes: &[u8], of: &str) -> Option<(Header, [SavedState; 2], Vec<f64>)> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    let text = metadata.metadata().as_ref()?.get(TEXT)?;
    let header: Header = serde_json::from_str(text).ok()?;
    if !header.is_of(of) {
        return None;
    }
    let file = SafeTensors::deserialize(bytes).ok()?;
    let mut states = header.numbers().map(|numbers| SavedState { numbers, ..SavedState::default() });
    let mut batch_losses = None;
    for (name, view) in file.tensors() {
        if name == BATCH_LOSSES && view.dtype() == Dtype::F64 {
            let words = view.data().as_chunks().0;
            batch_losses = Some(words.iter().map(|&word| f64::from_le_bytes(word)).collect());
            continue;
        }
        let (state, name) = PREFIXES
            .iter()
            .zip(&mut states)
            .find_map(|(prefix, state)| Some((state, name.strip_prefix(prefix)?.to_owned())))?;
        if view.dtype() != Dtype::F32 {
            return None;
        }
        let values = view.data().as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        state.tensors.insert(name, SavedTensor { shape: view.shape().to_vec(), values });
    }
    Some((header, states, batch_losses?))
}

#[cfg(test)]
mod tests;
