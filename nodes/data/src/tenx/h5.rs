//! Cell Ranger's HDF5 files. The matrix is features × barcodes compressed by barcode, that is cells × genes in rows.

use crate::cells::{Layout, MatrixRef, OpenOptions, Source, SparseOnDisk, Store};
use crate::h5::H5File;
use crate::{DataError, Table};

use super::Features;

/// Whether the file is Cell Ranger's.
pub(crate) fn is_tenx(h5: &H5File) -> bool {
    h5.is_group("matrix/features") || (!h5.exists("obs") && !genomes(h5).is_empty())
}

/// Groups of a version-2 file that hold a matrix.
fn genomes(h5: &H5File) -> Vec<String> {
    let members = h5.members("/").unwrap_or_default();
    let is_matrix = |name: &String| {
        ["barcodes", "genes", "gene_names", "indptr"]
            .iter()
            .all(|part| h5.is_dataset(&format!("{name}/{part}")))
    };
    members.into_iter().filter(is_matrix).collect()
}

/// Reads barcodes and genes.
pub(crate) fn read(h5: &H5File, options: &OpenOptions) -> Result<Layout, DataError> {
    let mut warnings = Vec::new();
    let texts = |name: String| h5.dataset(&name)?.texts();
    let (group, features) = if h5.is_group("matrix/features") {
        let optional = |name: &str| {
            if h5.is_dataset(name) { texts(name.to_owned()) } else { Ok(Vec::new()) }
        };
        let features = Features {
            ids: texts("matrix/features/id".to_owned())?,
            names: texts("matrix/features/name".to_owned())?,
            types: optional("matrix/features/feature_type")?,
            genomes: optional("matrix/features/genome")?,
        };
        ("matrix".to_owned(), features)
    } else {
        let group = choose_genome(h5, options)?;
        let (ids, names) = (texts(format!("{group}/genes"))?, texts(format!("{group}/gene_names"))?);
        (group, Features { ids, names, ..Features::default() })
    };
    let count = features.names.len();
    for (what, values) in
        [("id", &features.ids), ("feature_type", &features.types), ("genome", &features.genomes)]
    {
        if values.len() != count && !(values.is_empty() && what != "id") {
            return Err(h5.malformed(&group, format!("{} feature {what}s for {count} names", values.len())));
        }
    }
    check_genome(h5, &features, options, &mut warnings)?;
    let barcodes = texts(format!("{group}/barcodes"))?;
    let shape = h5.dataset(&format!("{group}/shape"))?.i64s()?;
    if shape != [count as i64, barcodes.len() as i64] {
        let problem =
            format!("its shape is {shape:?}, but there are {count} features and {} barcodes", barcodes.len());
        return Err(h5.malformed(&group, problem));
    }
    let sparse = SparseOnDisk::open(h5, &group, barcodes.len(), count)?;
    let (var, kept) = features.genes(options.genome.as_deref(), &mut warnings);
    let matrix = MatrixRef::new("X", barcodes.len(), var.clone(), Store::Rows(sparse), kept);
    Ok(Layout {
        format: "10x-h5",
        obs: Table::new(barcodes),
        var,
        source: Source::One(Box::new(matrix)),
        warnings,
    })
}

/// The one genome of a version-2 file, or the one that the user names.
fn choose_genome(h5: &H5File, options: &OpenOptions) -> Result<String, DataError> {
    let mut genomes = genomes(h5);
    match &options.genome {
        Some(wanted) if genomes.contains(wanted) => Ok(wanted.clone()),
        Some(wanted) => Err(DataError::missing(h5.path(), wanted, genomes)),
        None if genomes.len() == 1 => Ok(genomes.remove(0)),
        None => Err(DataError::Ambiguous {
            path: h5.path().to_owned(),
            problem: format!("the file holds {} genomes: {}", genomes.len(), genomes.join(", ")),
            remedy: format!(
                "write one genome's matrix to a file of its own, in Python with \
                 `scanpy.read_10x_h5(FILE, genome=\"{}\").write_h5ad(NEW)`",
                genomes[0]
            ),
        }),
    }
}

/// A wanted genome must be there; several genomes in one version-3 matrix are read together with a warning.
fn check_genome(
    h5: &H5File,
    features: &Features,
    options: &OpenOptions,
    warnings: &mut Vec<String>,
) -> Result<(), DataError> {
    let mut genomes: Vec<String> =
        features.genomes.iter().filter(|genome| !genome.is_empty()).cloned().collect();
    genomes.sort_unstable();
    genomes.dedup();
    match &options.genome {
        Some(wanted) if !genomes.is_empty() && !genomes.contains(wanted) => {
            Err(DataError::missing(h5.path(), wanted, genomes))
        }
        None if genomes.len() > 1 => {
            warnings.push(format!("the file holds genes of several genomes: {}", genomes.join(", ")));
            Ok(())
        }
        _ => Ok(()),
    }
}
