//! The fixtures of drug models.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::SafetensorsFile;
use celldag_data::vocabulary::read_columns;
use celldag_models::drug::{DrugTokenizer, drug_model};
use celldag_models::{Adapters, CellEncoder, CellTokens, LoadEncoder, ModelError};
use celldag_shaders::Device;
use serde_json::Value;

use super::{fixture, options};

/// A reference run.
pub(crate) struct Drugs {
    pub(crate) folder: PathBuf,
    pub(crate) model: &'static str,
    pub(crate) smiles: Vec<String>,
    pub(crate) expected: SafetensorsFile,
}

impl Drugs {
    pub(crate) fn open(name: &str, model: &'static str) -> Option<Self> {
        let folder = fixture(&format!("golden/{name}"))?;
        let smiles = read_columns(&folder.join("smiles.csv"), &["smiles"]).unwrap().remove(0);
        let expected = SafetensorsFile::open(&folder.join("expected.safetensors")).unwrap();
        Some(Self { folder, model, smiles, expected })
    }

    pub(crate) fn all() -> Option<[Self; 3]> {
        Some([
            Self::open("chemberta_77m", "chemberta")?,
            Self::open("chemberta_zinc", "chemberta")?,
            Self::open("molformer", "molformer")?,
        ])
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    pub(crate) fn array(&self, name: &str) -> Vec<f32> {
        self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    /// Ids of all drugs, without padding.
    pub(crate) fn ids(&self) -> Vec<CellTokens> {
        let [drugs, width] = self.expected.info("input_ids").unwrap().shape[..] else { panic!("matrix") };
        let integers = |name: &str| -> Vec<i64> {
            self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()
        };
        let (ids, mask) = (integers("input_ids"), integers("attention_mask"));
        let row = |drug: usize| {
            let places = (drug * width..(drug + 1) * width).filter(|&place| mask[place] == 1);
            CellTokens::of_ids(places.map(|place| u32::try_from(ids[place]).unwrap()).collect())
        };
        (0..drugs).map(row).collect()
    }

    pub(crate) fn tokenizer(&self, chosen: Value) -> Box<dyn DrugTokenizer> {
        drug_model(self.model).unwrap().tokenizer(&self.checkpoint(), &options(chosen)).unwrap()
    }

    pub(crate) fn encoder(&self, device: &Device, chosen: Value) -> Box<dyn CellEncoder> {
        load(self.model, &self.checkpoint(), device, chosen).unwrap()
    }
}

pub(crate) fn load(
    model: &str,
    checkpoint: &Path,
    device: &Device,
    chosen: Value,
) -> Result<Box<dyn CellEncoder>, ModelError> {
    drug_model(model).unwrap().encoder(LoadEncoder {
        checkpoint,
        device,
        options: &options(chosen),
        adapters: &Adapters::default(),
    })
}

/// A folder with some files of a checkpoint.
pub(crate) fn folder_with(from: &Path, names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    super::saved::copy(from, folder.path(), names);
    folder
}

pub(crate) const CHEMBERTA: [&str; 5] =
    ["config.json", "vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"];
