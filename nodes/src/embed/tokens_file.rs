//! The tokens artifact: a safetensors file with the tokens of all cells behind each other.
//!
//! | tensor | type | shape | meaning |
//! |---|---|---|---|
//! | `offsets` | u64 | cells + 1 | tokens of cell `i` are `input_ids[offsets[i]..offsets[i + 1]]`; a cell may have none |
//! | `input_ids` | u16, or u32 for vocabularies beyond 65,536 | tokens | token ids, special tokens included |
//! | `values` | f32 | tokens | a number for each token; only for models that read one |
//! | `obs` | u8 | bytes | UTF-8 JSON of the cells' table: `{"index_name", "index", "columns"}` |
//!
//! The texts of the header are `format` (`celldag-tokens`), `version` (`2`), `model`, `variant`, `vocabulary` (BLAKE3 of
//! the vocabulary), `vocabulary_size`, `context` and `options` (JSON of the tokenizer's options). Writing needs memory for
//! the offsets only: tokens go through scratch files. Ids and values mean what the model's page in the book says.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use celldag_data::Table;
use celldag_data::checkpoint::{CheckpointError, SafetensorsFile};
use celldag_models::{CellTokens, TokenizerInfo};
use fs_err::File;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

const FORMAT: &str = "celldag-tokens";
const VERSION: &str = "2";

/// What the tokens are tokens of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokensInfo {
    /// Name of the model.
    pub model: String,
    /// Variant, vocabulary and context.
    pub tokenizer: TokenizerInfo,
}

/// A tokens artifact that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// No safetensors file, or a damaged one.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// The system refuses; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A safetensors file, but not one of tokens.
    #[error("{}: not a tokens file of this version: {reason}; make it again with `tokenize`", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Collects the tokens of cell after cell.
#[derive(Debug)]
pub struct TokensWriter {
    ids: BufWriter<File>,
    values: Option<BufWriter<File>>,
    offsets: Vec<u64>,
    wide: bool,
}

impl TokensWriter {
    /// Starts in the empty folder `scratch`. Ids are below the tokenizer's `vocabulary_size`.
    ///
    /// # Errors
    /// When a scratch file cannot be made.
    pub fn new(scratch: &Path, tokenizer: &TokenizerInfo) -> Result<Self, TokensError> {
        let spill = |name: &str| -> io::Result<_> {
            let mut options = File::options();
            let file = options.read(true).write(true).create(true).truncate(true).open(scratch.join(name))?;
            Ok(BufWriter::new(file))
        };
        Ok(Self {
            ids: spill("input_ids")?,
            values: tokenizer.has_values.then(|| spill("values")).transpose()?,
            offsets: vec![0],
            wide: tokenizer.vocabulary_size > 1 << 16,
        })
    }

    /// Adds the next cell.
    ///
    /// # Errors
    /// When a scratch file cannot be written.
    pub fn push(&mut self, cell: &CellTokens) -> Result<(), TokensError> {
        let mut bytes = Vec::with_capacity(cell.len() * 4);
        for id in &cell.ids {
            let narrow = id.to_le_bytes();
            bytes.extend_from_slice(if self.wide { &narrow } else { &narrow[..2] });
        }
        self.ids.write_all(&bytes)?;
        if let Some(values) = &mut self.values {
            let bytes: Vec<u8> = cell.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            values.write_all(&bytes)?;
        }
        self.offsets.push(self.tokens() + cell.len() as u64);
        Ok(())
    }

    fn tokens(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Writes the artifact.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(self, path: &Path, info: &TokensInfo, obs: &Table) -> Result<(), TokensError> {
        let (tokens, wide) = (self.tokens(), self.wide);
        let obs = serde_json::to_vec(obs).map_err(io::Error::from)?;
        let offsets: Vec<u8> = self.offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        let mut end = 0;
        let mut tensor = |dtype: &str, length: u64, bytes: u64| -> Value {
            let start = end;
            end += bytes;
            json!({"dtype": dtype, "shape": [length], "data_offsets": [start, end]})
        };
        // The widest type first keeps every tensor aligned.
        let mut header = json!({
            "__metadata__": {
                "format": FORMAT,
                "version": VERSION,
                "model": info.model,
                "variant": info.tokenizer.variant,
                "vocabulary": info.tokenizer.vocabulary,
                "vocabulary_size": info.tokenizer.vocabulary_size.to_string(),
                "context": info.tokenizer.context.to_string(),
                "options": Value::Object(info.tokenizer.options.clone()).to_string(),
            },
            "offsets": tensor("U64", self.offsets.len() as u64, offsets.len() as u64),
        });
        if self.values.is_some() {
            header["values"] = tensor("F32", tokens, tokens * 4);
        }
        header["input_ids"] =
            tensor(if wide { "U32" } else { "U16" }, tokens, tokens * if wide { 4 } else { 2 });
        header["obs"] = tensor("U8", obs.len() as u64, obs.len() as u64);
        let mut header = header.to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut out = BufWriter::new(File::create(path)?);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        out.write_all(&offsets)?;
        for spill in self.values.into_iter().chain([self.ids]) {
            let mut spill = spill.into_inner().map_err(io::IntoInnerError::into_error)?;
            spill.seek(SeekFrom::Start(0))?;
            io::copy(&mut spill, &mut out)?;
        }
        out.write_all(&obs)?;
        out.flush()?;
        Ok(())
    }
}

/// A tokens artifact, open for reading. Tokens stay on disk.
#[derive(Debug)]
pub struct TokensFile {
    file: SafetensorsFile,
    info: TokensInfo,
    offsets: Vec<usize>,
    width: usize,
}

impl TokensFile {
    /// Opens and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or is no tokens file.
    pub fn open(path: &Path) -> Result<Self, TokensError> {
        let file = SafetensorsFile::open(path)?;
        let refuse =
            |reason: &str| TokensError::Content { path: path.to_path_buf(), reason: reason.to_owned() };
        let text = |key| file.text(key).ok_or_else(|| refuse(&format!("the header has no `{key}`")));
        if text("format")? != FORMAT || text("version")? != VERSION {
            return Err(refuse("another format or version"));
        }
        let number = |key| text(key)?.parse().map_err(|_| refuse(&format!("`{key}` is no number")));
        let info = TokensInfo {
            model: text("model")?.to_owned(),
            tokenizer: TokenizerInfo {
                variant: text("variant")?.to_owned(),
                vocabulary: text("vocabulary")?.to_owned(),
                vocabulary_size: number("vocabulary_size")?,
                context: number("context")?,
                has_values: file.info("values").is_some(),
                options: serde_json::from_str(text("options")?)
                    .map_err(|_| refuse("`options` is no JSON object"))?,
            },
        };
        let (tokens, width) = match file.info("input_ids").map(|i| (i.dtype, i.shape.as_slice())) {
            Some((Dtype::U16, &[tokens])) => (tokens, 2),
            Some((Dtype::U32, &[tokens])) => (tokens, 4),
            _ => return Err(refuse("`input_ids` is no list of u16 or u32")),
        };
        let values = file.info("values");
        if values.is_some_and(|i| i.dtype != Dtype::F32 || i.shape != [tokens]) {
            return Err(refuse("`values` is no list of f32 with a value for each token"));
        }
        if file.info("offsets").is_none_or(|i| i.dtype != Dtype::U64) {
            return Err(refuse("`offsets` is no list of u64"));
        }
        let bytes = file.read("offsets")?;
        let offsets: Option<Vec<usize>> =
            bytes.as_chunks().0.iter().map(|&b| usize::try_from(u64::from_le_bytes(b)).ok()).collect();
        let offsets = offsets.ok_or_else(|| refuse("an offset is too large"))?;
        let whole = offsets.first() == Some(&0) && offsets.last() == Some(&tokens);
        if !whole || !offsets.is_sorted() {
            return Err(refuse("the offsets do not divide the tokens"));
        }
        Ok(Self { file, info, offsets, width })
    }

    /// What the tokens are tokens of.
    #[must_use]
    pub fn info(&self) -> &TokensInfo {
        &self.info
    }

    /// Tokens of each cell.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Tokens of one cell.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cell(&self, index: usize) -> Result<CellTokens, TokensError> {
        let (start, end) = (self.offsets[index], self.offsets[index + 1]);
        let bytes = self.file.read_range("input_ids", start * self.width..end * self.width)?;
        let ids = if self.width == 2 {
            bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b).into()).collect()
        } else {
            bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect()
        };
        let values = if self.info.tokenizer.has_values {
            let bytes = self.file.read_range("values", start * 4..end * 4)?;
            bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
        } else {
            Vec::new()
        };
        Ok(CellTokens { ids, values })
    }

    /// The cells' table.
    ///
    /// # Errors
    /// When it cannot be read or has another number of cells.
    pub fn obs(&self) -> Result<Table, TokensError> {
        let refuse = |reason: String| TokensError::Content { path: self.file.path().to_path_buf(), reason };
        let obs: Table = serde_json::from_slice(&self.file.read("obs")?)
            .map_err(|e| refuse(format!("`obs` is no table: {e}")))?;
        obs.check().map_err(|e| refuse(e.to_string()))?;
        if obs.len() + 1 != self.offsets.len() {
            let cells = self.offsets.len() - 1;
            return Err(refuse(format!("`obs` has {} rows for {cells} cells", obs.len())));
        }
        Ok(obs)
    }
}
