//! The head artifact: weights of every fold as safetensors, and a JSON that says what they mean.

use std::path::Path;

use celldag_engine::NodeError;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::standardize::Standardizer;
use crate::learn::failure::io;

/// First field of `head.json`.
const FORMAT: &str = "celldag.mlp-head/1";

/// Shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadArchitecture {
    /// Array of `obsm` that goes in.
    pub embedding: String,
    /// Widths from input to output.
    pub widths: Vec<usize>,
    /// Between the layers.
    pub activation: String,
    /// `bce` (one logit), `cross-entropy` (one logit a class) or `scdrugmap-two-logit`.
    pub loss: String,
}

/// One trained network.
#[derive(Clone, Debug)]
pub struct FoldHead {
    /// Repeat of the split.
    pub repeat: u32,
    /// Fold of the split.
    pub fold: u32,
    /// The epoch that was kept, from 1.
    pub best_epoch: usize,
    /// Weights `[outputs, inputs]` and bias of each layer.
    pub layers: Vec<(Vec<f32>, Vec<f32>)>,
    /// Applied to the features before the first layer.
    pub standardizer: Option<Standardizer>,
}

/// `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadInfo {
    /// Format and version.
    pub format: String,
    /// Class names by index.
    pub classes: Vec<String>,
    /// The positive class, with two classes; its index is 1.
    pub positive: Option<String>,
    /// Shape of the network.
    pub architecture: HeadArchitecture,
    /// Seed of weights and batches.
    pub seed: u64,
    /// The networks: tensors are called `<name>.layer<i>.weight`, `.bias`, `<name>.standardize.mean`, `.sd`.
    pub folds: Vec<FoldInfo>,
}

/// One network in `head.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldInfo {
    /// Beginning of its tensors' names.
    pub name: String,
    /// Repeat of the split.
    pub repeat: u32,
    /// Fold of the split.
    pub fold: u32,
    /// The epoch that was kept, from 1.
    pub best_epoch: usize,
    /// Whether features are standardised first.
    pub standardized: bool,
}

/// Writes `head.safetensors` and `head.json` into `folder`.
///
/// # Errors
/// When the files cannot be written.
pub fn write_heads(
    folder: &Path,
    classes: &[String],
    architecture: &HeadArchitecture,
    seed: u64,
    heads: &[FoldHead],
) -> Result<(), NodeError> {
    let mut tensors: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
    let mut folds = Vec::new();
    for head in heads {
        let name = format!("repeat{}.fold{}", head.repeat, head.fold);
        for (at, (weight, bias)) in head.layers.iter().enumerate() {
            let (inputs, outputs) = (architecture.widths[at], architecture.widths[at + 1]);
            tensors.push((format!("{name}.layer{at}.weight"), vec![outputs, inputs], weight));
            tensors.push((format!("{name}.layer{at}.bias"), vec![outputs], bias));
        }
        if let Some(s) = &head.standardizer {
            tensors.push((format!("{name}.standardize.mean"), vec![s.mean.len()], &s.mean));
            tensors.push((format!("{name}.standardize.sd"), vec![s.sd.len()], &s.sd));
        }
        folds.push(FoldInfo {
            name,
            repeat: head.repeat,
            fold: head.fold,
            best_epoch: head.best_epoch,
            standardized: head.standardizer.is_some(),
        });
    }
    let views = tensors.iter().map(|(name, shape, values)| {
        TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
            .map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(io)?;
    let bytes = safetensors::serialize(views, None).map_err(io)?;
    fs_err::create_dir_all(folder).map_err(io)?;
    fs_err::write(folder.join("head.safetensors"), bytes).map_err(io)?;
    let info = HeadInfo {
        format: FORMAT.to_owned(),
        positive: (classes.len() == 2).then(|| classes[1].clone()),
        classes: classes.to_vec(),
        architecture: architecture.clone(),
        seed,
        folds,
    };
    let text = serde_json::to_string_pretty(&info).map_err(io)?;
    fs_err::write(folder.join("head.json"), text + "\n").map_err(io)
}

/// Reads the folder that [`write_heads`] wrote.
///
/// # Errors
/// A data error when a file is missing, damaged, or not what `head.json` says.
pub fn read_heads(folder: &Path) -> Result<(HeadInfo, Vec<FoldHead>), NodeError> {
    let path = folder.join("head.json");
    let wrong = |why: String| {
        NodeError::data(format!("{}: {why}", path.display()))
            .help("give the output `head` of `mlp-head` or `linear-head`")
    };
    let text = fs_err::read_to_string(&path).map_err(|e| NodeError::data(e.to_string()))?;
    let info: HeadInfo = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    if info.format != FORMAT {
        return Err(wrong(format!("its format is `{}`, this celldag reads `{FORMAT}`", info.format)));
    }
    let widths = &info.architecture.widths;
    if info.classes.len() < 2 || widths.len() < 2 || widths.contains(&0) || info.folds.is_empty() {
        return Err(wrong("it needs two classes, an input, an output and a fold at least".to_owned()));
    }
    let bytes = fs_err::read(folder.join("head.safetensors")).map_err(|e| NodeError::data(e.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|e| NodeError::data(format!("{}: {e}", folder.join("head.safetensors").display())))?;
    let values = |name: &str, shape: &[usize]| -> Result<Vec<f32>, NodeError> {
        let view = tensors.tensor(name).map_err(|e| wrong(format!("tensor `{name}`: {e}")))?;
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(wrong(format!("tensor `{name}` is {found}; F32 {shape:?} is needed")));
        }
        Ok(bytemuck::pod_collect_to_vec(view.data()))
    };
    let mut heads = Vec::with_capacity(info.folds.len());
    for fold in &info.folds {
        let name = &fold.name;
        let layer = |(at, pair): (usize, &[usize])| -> Result<_, NodeError> {
            let weight = values(&format!("{name}.layer{at}.weight"), &[pair[1], pair[0]])?;
            Ok((weight, values(&format!("{name}.layer{at}.bias"), &[pair[1]])?))
        };
        let standardizer = |what: &str| values(&format!("{name}.standardize.{what}"), &widths[..1]);
        heads.push(FoldHead {
            repeat: fold.repeat,
            fold: fold.fold,
            best_epoch: fold.best_epoch,
            layers: widths.windows(2).enumerate().map(layer).collect::<Result<_, _>>()?,
            standardizer: if fold.standardized {
                Some(Standardizer { mean: standardizer("mean")?, sd: standardizer("sd")? })
            } else {
                None
            },
        });
    }
    Ok((info, heads))
}
