//! Trained heads of one training, from one folder or from one for each fold.

use std::collections::BTreeSet;

use celldag_engine::{Input, NodeError};
use celldag_models::training::{LossKind, Network, Objective};
use celldag_shaders::Device;

use crate::learn::failure;
use crate::learn::mlp::{FeatureRows, FoldHead, HeadInfo, read_heads};

/// Heads that take the same vectors and know the same classes.
pub(super) struct Heads {
    pub(super) info: HeadInfo,
    pub(super) folds: Vec<FoldHead>,
    objective: Objective,
}

impl Heads {
    /// Reads all folders on the port.
    ///
    /// # Errors
    /// Damaged folders; folders of different trainings; the same fold twice.
    pub(super) fn read(inputs: &[Input]) -> Result<Self, NodeError> {
        let mut all = inputs.iter().map(|input| read_heads(&input.path));
        let (info, mut folds) = all.next().ok_or_else(|| NodeError::failed("no head was given"))??;
        for more in all {
            let (other, heads) = more?;
            let same = (&other.classes, &other.architecture) == (&info.classes, &info.architecture);
            if !same {
                return Err(NodeError::data(format!(
                    "the heads are of different trainings: classes {} on obsm/{} and {} on obsm/{}",
                    info.classes.join(", "),
                    info.architecture.embedding,
                    other.classes.join(", "),
                    other.architecture.embedding
                ))
                .help("give the heads of one training; predict with each training on its own"));
            }
            folds.extend(heads);
        }
        folds.sort_by_key(|head| (head.repeat, head.fold));
        let distinct: BTreeSet<_> = folds.iter().map(|head| (head.repeat, head.fold)).collect();
        if distinct.len() < folds.len() {
            return Err(NodeError::data("the same fold is in two heads").help("give each fold once"));
        }
        let classes = info.classes.len();
        let kind = loss(&info.architecture.loss)
            .filter(|kind| info.architecture.widths.last() == Some(&kind.outputs(classes)))
            .ok_or_else(|| {
                NodeError::data(format!(
                    "the head says loss `{}` with {:?} outputs for {classes} classes, which does not fit",
                    info.architecture.loss,
                    info.architecture.widths.last()
                ))
            })?;
        Ok(Self { info, folds, objective: Objective::new(kind, classes) })
    }

    /// Scores of a fold's head: one row a cell, one column a class; rows add up to 1.
    ///
    /// # Errors
    /// The device's errors.
    pub(super) fn scores(
        &self,
        head: &FoldHead,
        device: &Device,
        cells: &FeatureRows,
    ) -> Result<Vec<Vec<f64>>, NodeError> {
        let mut cells = cells.clone();
        if let Some(standardizer) = &head.standardizer {
            standardizer.apply(&mut cells);
        }
        let network = Network::from_values(device, &self.info.architecture.widths, &head.layers)
            .map_err(failure::device)?;
        let logits = network.logits(device, &cells.values).map_err(failure::device)?;
        Ok(logits.iter().map(|logits| self.objective.scores(logits)).collect())
    }
}

/// The loss as `head.json` names it.
fn loss(word: &str) -> Option<LossKind> {
    match word {
        "bce" => Some(LossKind::Bce),
        "cross-entropy" => Some(LossKind::CrossEntropy),
        "scdrugmap-two-logit" => Some(LossKind::TwoLogit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::learn::mlp::{HeadArchitecture, Standardizer, write_heads};

    fn head(fold: u32, bias: f32) -> FoldHead {
        FoldHead {
            repeat: 0,
            fold,
            best_epoch: 1,
            layers: vec![(vec![1.0, -1.0], vec![bias])],
            standardizer: (fold == 0).then(|| Standardizer { mean: vec![1.0, 2.0], sd: vec![2.0, 4.0] }),
        }
    }

    fn written(folder: &Path, classes: [&str; 2], heads: &[FoldHead]) -> Input {
        let architecture = HeadArchitecture {
            embedding: "X_m".into(),
            widths: vec![2, 1],
            activation: "relu".into(),
            loss: "bce".into(),
        };
        write_heads(folder, &classes.map(str::to_owned), &architecture, 0, heads).expect("written");
        Input { label: String::new(), path: folder.to_owned(), digest: String::new() }
    }

    #[test]
    fn heads_come_back_and_score_by_hand() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        let one = written(&at("one"), ["no", "yes"], &[head(1, -0.5)]);
        let zero = written(&at("zero"), ["no", "yes"], &[head(0, 0.5)]);
        let heads = Heads::read(&[one.clone(), zero]).expect("two folders of one training");
        assert_eq!(heads.folds.iter().map(|h| h.fold).collect::<Vec<_>>(), [0, 1]);
        let device = Device::cpu(1).expect("cpu");
        let cells = FeatureRows { ids: vec!["c".into()], dim: 2, values: vec![3.0, 6.0] };
        // Standardised, the cell is (1, 1); else (3, 6).
        for (fold, logit) in [(0, 0.5_f64), (1, -3.5)] {
            let scores = heads.scores(&heads.folds[fold], &device, &cells).expect("scores");
            let expected = 1.0 / (1.0 + (-logit).exp());
            assert!((scores[0][1] - expected).abs() < 1e-6, "fold {fold}: {scores:?}, not {expected}");
            assert!((scores[0][0] + scores[0][1] - 1.0).abs() < 1e-12);
        }
        let twice = Heads::read(&[one.clone(), one.clone()]).err().expect("fold 1 twice");
        assert!(twice.message.contains("same fold"), "{twice}");
        let other = written(&at("other"), ["no", "maybe"], &[head(2, 0.0)]);
        let mixed = Heads::read(&[one, other]).err().expect("other classes");
        assert!(mixed.message.contains("different trainings"), "{mixed}");
    }

    #[test]
    fn damaged_folders_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let input = written(folder.path(), ["no", "yes"], &[head(0, 0.5)]);
        let path = folder.path().join("head.json");
        let text = fs_err::read_to_string(&path).expect("json");
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} in {text}");
            fs_err::write(&path, text.replace(from, to)).expect("written");
            Heads::read(std::slice::from_ref(&input)).err().unwrap_or_else(|| panic!("{to}")).message
        };
        assert!(refused("celldag.mlp-head/1", "celldag.mlp-head/9").contains("format"));
        assert!(refused("\"fold\": 0", "\"fold\": \"a\"").contains("head.json"));
        assert!(refused("\"repeat0.fold0\"", "\"repeat0.fold7\"").contains("repeat0.fold7"));
        assert!(refused("\"bce\"", "\"cross-entropy\"").contains("does not fit"));
        fs_err::write(&path, &text).expect("written");
        fs_err::write(folder.path().join("head.safetensors"), b"short").expect("written");
        assert!(Heads::read(&[input]).err().expect("damaged").message.contains("head.safetensors"));
    }
}
