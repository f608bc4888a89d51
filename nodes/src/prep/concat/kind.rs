//! The kind `concat`: counts of several files as one file, read and written in chunks.

use celldag_data::{CellsFile, Column, CountsSource, Csr, Dtype, H5adWriter, MatrixRef, Table, WriteOptions};
use celldag_engine::{
    InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use serde::Deserialize;
use serde_json::json;

use super::genes::{Common, Match, common};
use super::names;
use crate::artifacts::CELLS;
use crate::prep::cells::{FileRows, data};

/// Share of a file's genes below which a loss is a warning.
const MOST_LOST: f64 = 0.5;
/// Columns named in one warning.
const NAMED: usize = 8;

/// Several data sets as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Concat;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    join: String,
    genes: String,
    column: String,
    prefix: Vec<String>,
    counts: String,
}

/// One file of cells.
struct Dataset {
    name: String,
    file: CellsFile,
    matrix: MatrixRef,
}

impl Kind for Concat {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "concat",
            epoch: 1,
            about: "puts the raw counts of several data sets into one file, with a column that names them",
            inputs: vec![InPort {
                name: "cells",
                ty: CELLS,
                many: Multiplicity::Many,
                about: "raw counts; a data set is called by the value of its axis, or by its file",
            }],
            outputs: vec![OutPort {
                name: "cells",
                ty: CELLS,
                file: "cells.h5ad",
                about: "raw counts in X; cells are called `<data set>:<cell>`",
            }],
            params: vec![
                Param::choice("join", &["inner", "outer"], "genes that all data sets have, or those that any has, with zeros where a data set lacks one (which tells data sets apart)")
                    .default("inner"),
                Param::choice("genes", &["name", "ensembl"], "genes are the same when their names in var are, or their Ensembl ids without version")
                    .default("name"),
                Param::text("column", "column of obs that the name of the data set goes to").default("dataset"),
                Param::list("prefix", ParamType::Text, "columns of obs whose values get `<data set>:` in front: those of samples and patients, or patient 1 of two studies is one patient")
                    .default(json!([])),
                Param::text("counts", "matrix with raw counts: auto, X, raw/X or layers/NAME").default("auto"),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let empty = |name: &&str| params.get(name).and_then(serde_json::Value::as_str) == Some("");
        let names = ["column", "counts"].into_iter().filter(empty);
        names.map(|name| (name.to_owned(), "must not be empty".to_owned())).collect()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let datasets = open(step, &options)?;
        let by = if options.genes == "ensembl" { Match::Ensembl } else { Match::Name };
        let vars: Vec<&Table> = datasets.iter().map(|set| set.matrix.var()).collect();
        let genes = common(&vars, by, options.join == "outer");
        if genes.var.is_empty() {
            return Err(nothing_shared(&datasets, by, &genes));
        }
        state_genes(step, &datasets, &genes, by);
        let obs = obs(step, &datasets, &options)?;
        step.progress.total(obs.len() as u64, "cells");
        let output = step.output("cells")?;
        let mut writer =
            H5adWriter::create(output, &obs, &genes.var, &WriteOptions::default()).map_err(data)?;
        writer.begin_matrix("X", Dtype::F32).map_err(data)?;
        for (set, target) in datasets.iter().zip(&genes.target) {
            let rows = FileRows { file: &set.file, matrix: &set.matrix, step };
            rows.each_chunk(|_, chunk| writer.append(&moved(&chunk, target, genes.var.len())).map_err(data))?;
        }
        writer.finish().map_err(data)
    }
}

fn open(step: &Step<'_>, options: &Options) -> Result<Vec<Dataset>, NodeError> {
    let inputs = step.gathered("cells");
    let Ok(source) = options.counts.parse::<CountsSource>();
    let names = names::of_inputs(inputs)?;
    let opened = names.into_iter().zip(inputs).map(|(name, input)| {
        let file = CellsFile::open(&input.path).map_err(data)?;
        for warning in file.warnings() {
            step.warn(format!("{name}: {warning}"));
        }
        let matrix = file.counts_matrix(&source).map_err(data)?;
        Ok(Dataset { name, file, matrix })
    });
    opened.collect()
}

/// A chunk of one file over the genes of the result.
fn moved(chunk: &Csr, target: &[Option<u32>], genes: usize) -> Csr {
    let mut out = Csr::empty(genes);
    let mut entries = Vec::new();
    for (columns, values) in chunk.iter() {
        entries.clear();
        entries
            .extend(columns.iter().zip(values).filter_map(|(&c, &value)| Some((target[c as usize]?, value))));
        out.push_row(&mut entries);
    }
    out
}

/// The cells of all data sets: names that say the data set, all columns, and the column that names the data set.
fn obs(step: &Step<'_>, datasets: &[Dataset], options: &Options) -> Result<Table, NodeError> {
    let column = options.column.as_str();
    if let Some(set) = datasets.iter().find(|set| set.file.obs().column(column).is_some()) {
        return Err(NodeError::parameter(format!(
            "the cells of `{}` have a column `{column}` already, where the name of the data set would go",
            set.name
        ))
        .help("set `column` to another name"));
    }
    let tables: Vec<&Table> = datasets.iter().map(|set| set.file.obs()).collect();
    let mut obs = Table::stacked(&tables);
    let of_cell: Vec<&str> =
        datasets.iter().flat_map(|set| std::iter::repeat_n(set.name.as_str(), set.file.n_cells())).collect();
    for (name, set) in obs.index.iter_mut().zip(&of_cell) {
        *name = format!("{set}:{name}");
    }
    for prefixed in options.prefix.iter().filter(|name| *name != column) {
        let values = obs.column(prefixed).ok_or_else(|| {
            let message =
                format!("no data set has the column `{prefixed}`, whose values `prefix` would tell apart");
            NodeError::parameter(message)
        })?;
        let one = |(row, set): (usize, &&str)| values.as_text(row).map(|value| format!("{set}:{value}"));
        let values: Vec<Option<String>> = of_cell.iter().enumerate().map(one).collect();
        obs.columns.insert(prefixed.clone(), Column::categorical(&values));
    }
    for set in datasets {
        let names = obs.columns.keys().map(String::as_str);
        let absent: Vec<&str> = names.filter(|c| set.file.obs().column(c).is_none()).collect();
        if !absent.is_empty() {
            let more = if absent.len() > NAMED { " ..." } else { "" };
            let named = absent[..absent.len().min(NAMED)].join(", ");
            step.warn(format!(
                "`{}` lacks columns that other data sets have; their values are missing for its cells: {named}{more}",
                set.name
            ));
        }
    }
    let names: Vec<Option<&str>> = of_cell.into_iter().map(Some).collect();
    obs.columns.insert(column.to_owned(), Column::categorical(&names));
    step.fact("cells_out", obs.len());
    step.fact("datasets", datasets.len());
    Ok(obs)
}

fn state_genes(step: &Step<'_>, datasets: &[Dataset], genes: &Common, by: Match) {
    step.fact("genes_out", genes.var.len());
    for (number, set) in datasets.iter().enumerate() {
        let (target, repeated, keyless) =
            (&genes.target[number], genes.repeated[number], &genes.keyless[number]);
        let (all, kept) = (target.len(), target.iter().flatten().count());
        step.fact(&format!("cells_{}", set.name), set.file.n_cells());
        step.fact(&format!("genes_lost_{}", set.name), all - kept);
        if repeated > 0 {
            step.warn(format!(
                "{repeated} gene(s) of `{}` repeat an earlier gene of it and are left out; their counts are not added",
                set.name
            ));
        }
        if !keyless.is_empty() {
            step.fact(&format!("genes_without_id_{}", set.name), keyless.len());
            step.warn(format!(
                "{} of the {all} genes of `{}` have no Ensembl id and are left out, for example {}; give them one in \
                 `var[\"ensembl_id\"]`, or match by `genes: name`",
                keyless.len(),
                set.name,
                keyless[..keyless.len().min(NAMED)].join(", ")
            ));
        }
        // What the file itself left out is not the fault of others.
        let known = all - keyless.len() - repeated;
        if (kept as f64) < MOST_LOST * known as f64 {
            let matching =
                "; `join: outer` keeps them, `genes: ensembl` matches genes that are named differently";
            let help = if by == Match::Name { matching } else { "; `join: outer` keeps them" };
            step.warn(format!(
                "only {kept} of the {known} genes of `{}` are left, because other data sets lack the rest{help}",
                set.name
            ));
        }
    }
}

fn nothing_shared(datasets: &[Dataset], by: Match, genes: &Common) -> NodeError {
    let by_id = by == Match::Ensembl;
    let what = if by_id { "Ensembl id" } else { "name" };
    let example = |(set, keyless): (&Dataset, &Vec<String>)| {
        let first = set.matrix.var().index.first().map_or("", String::as_str);
        let without = match keyless.len() {
            0 => String::new(),
            count => format!(", {count} of them without an Ensembl id"),
        };
        format!("`{}` has {} genes (`{first}`, ...){without}", set.name, set.matrix.n_genes())
    };
    let sets: Vec<String> = datasets.iter().zip(&genes.keyless).map(example).collect();
    let help = if by_id {
        "give every file its ids in `var[\"ensembl_id\"]`, match by `genes: name`, or set `join: outer`"
    } else {
        "set `genes: ensembl` where one file names genes by symbol and another by Ensembl id, or `join: outer`"
    };
    NodeError::data(format!("no gene has the same {what} in all data sets: {}", sets.join("; "))).help(help)
}
