//! The types of artifact that travel between the ports of celldag's kinds (DESIGN 7).

use celldag_engine::ArtifactType;

/// Counts or expression values of cells, with their tables.
pub const CELLS: ArtifactType =
    ArtifactType { name: "cells", about: "AnnData file (.h5ad) of cells x genes" };

/// What a model reads instead of counts; the layout is documented by the kind `tokenize`.
pub const TOKENS: ArtifactType =
    ArtifactType { name: "tokens", about: "ragged token arrays of cells (.safetensors)" };

/// One vector a cell.
pub const EMBEDDING: ArtifactType = ArtifactType {
    name: "embedding",
    about: "AnnData file (.h5ad) with obsm[\"X_<model>\"], float32, cells x dimensions",
};

/// One vector a gene.
pub const GENE_EMBEDDING: ArtifactType = ArtifactType {
    name: "gene-embedding",
    about: "AnnData file (.h5ad) whose rows are genes, with obsm[\"X_<model>\"], float32, genes x dimensions",
};

/// Drugs as text.
pub const DRUGS: ArtifactType =
    ArtifactType { name: "drugs", about: "table (.csv or .tsv) of drugs with a column of SMILES" };

/// One vector a drug.
pub const DRUG_EMBEDDING: ArtifactType =
    ArtifactType { name: "drug-embedding", about: "table (.csv) of id, smiles and one column a dimension" };

/// Published weights and vocabularies, untouched.
pub const CHECKPOINT: ArtifactType =
    ArtifactType { name: "checkpoint", about: "published weights and vocabularies: a folder or one file" };

/// Which cell trains, validates and tests in which fold.
pub const SPLIT: ArtifactType =
    ArtifactType { name: "split", about: "table (.csv) of cell_id, repeat, fold, role" };

/// Scores of cells that a head has not been trained on.
pub const PREDICTIONS: ArtifactType = ArtifactType {
    name: "predictions",
    about: "table (.csv) of cell_id, dataset, group, fold, label, score, prediction",
};

/// Trained weights of a prediction head.
pub const HEAD: ArtifactType = ArtifactType { name: "head", about: "trained prediction head (.safetensors)" };

/// Low-rank adapters of a model, as Hugging Face peft keeps them.
pub const ADAPTER: ArtifactType = ArtifactType {
    name: "adapter",
    about: "PEFT folder (adapter_config.json, adapter_model.safetensors), or a folder of such folders, one a fold",
};

/// Numbers for people and programs.
pub const REPORT: ArtifactType =
    ArtifactType { name: "report", about: "metrics, baselines and warnings (.json)" };

/// What the table of a split cannot say: classes, positive class, leaks found.
pub const SPLIT_INFO: ArtifactType = ArtifactType {
    name: "split-info",
    about: "kind, seed, classes, positive class, groups, cells per fold and warnings of a split (.json)",
};

/// Losses of a training, epoch by epoch.
pub const HISTORY: ArtifactType =
    ArtifactType { name: "history", about: "learning curves of a training (.json)" };

/// Metrics as a flat table.
pub const METRICS: ArtifactType =
    ArtifactType { name: "metrics", about: "table (.csv) of model, scope, fold, metric, value" };

/// What a language model was asked and what it answered.
pub const RESPONSES: ArtifactType = ArtifactType {
    name: "responses",
    about: "questions, answers and token counts of a language model, one JSON object a line (.jsonl)",
};

/// Scores of cells without labels.
pub const SCORES: ArtifactType = ArtifactType {
    name: "scores",
    about: "table (.csv) of cell_id, score, prediction, score by class and by fold",
};
