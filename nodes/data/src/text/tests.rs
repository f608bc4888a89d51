use std::io::Write;

use crate::{CellsFile, Column, CountsSource, DataError, OpenOptions};

fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs_err::write(&path, content).unwrap();
    (folder, path)
}

const TABLE: &str = "Cell_barcode\tCondition\tTP53\tEGFR\tbatch\n\
                     AAAC-1\tsensitive\t0\t3\t1\n\
                     AAAG-1\tresistant\t2\t0\t2\n";

#[test]
fn the_layout_of_scdrugmap_is_read() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(TABLE.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let comma = TABLE.replace('\t', ",");
    for (name, content) in [("a.tsv", TABLE.as_bytes()), ("b.csv", comma.as_bytes()), ("c.csv.gz", &packed)] {
        let (_folder, path) = file(name, content);
        let cells = CellsFile::open(&path).unwrap();
        assert_eq!((cells.format(), cells.n_cells(), cells.n_genes()), ("table", 2, 2), "{name}");
        assert_eq!(cells.var().index, ["TP53", "EGFR"]);
        assert_eq!(cells.obs().text("Condition", 1).as_deref(), Some("resistant"));
        assert_eq!(cells.obs().column("batch"), Some(&Column::Int(vec![Some(1), Some(2)])));
        let counts = cells.read_counts(&CountsSource::Auto).unwrap();
        assert_eq!(counts.x.to_dense_row(0), [0.0, 3.0]);
        assert_eq!(counts.x.to_dense_row(1), [2.0, 0.0]);
    }
}

#[test]
fn r_headers_are_understood() {
    let (_folder, path) = file("r.csv", b"TP53,EGFR\nc1,1,0\nc2,0,1\n");
    let cells = CellsFile::open(&path).unwrap();
    assert_eq!(
        (cells.var().index.len(), cells.obs().index.as_slice()),
        (2, &["c1".to_owned(), "c2".to_owned()][..])
    );
}

#[test]
fn bad_tables_say_where() {
    let error = |content: &str| {
        let (_folder, path) = file("t.csv", content.as_bytes());
        CellsFile::open(&path).and_then(|cells| cells.read_counts(&CountsSource::Auto)).unwrap_err()
    };
    assert!(matches!(error("id,A,B\nc1,1\n"), DataError::Text { line: 2, .. }));
    assert!(matches!(error("id,A,B\nc1,1,\n"), DataError::Text { line: 2, .. }));
    assert!(matches!(error("id,A,B\nc1,1,inf\n"), DataError::Text { line: 2, .. }));
    assert!(matches!(error("id,A,B\nc1,1,2\nc2,1,x\n"), DataError::Ambiguous { .. }));
    assert!(matches!(error("id,A,B\nc1,x,y\n"), DataError::Ambiguous { .. }));
    assert!(matches!(error("id,c1\nENSG00000000003,5\n"), DataError::Ambiguous { .. }));
    assert!(matches!(
        error("gene,AAACCTGAGAAACC-1,AAACCTGAGAAACG-1\nTP53,5,1\n"),
        DataError::Ambiguous { .. }
    ));
    assert!(matches!(error("id,A\nc1,1\nc1,2\n"), DataError::DuplicateCell { first: 0, second: 1, .. }));
    assert!(matches!(error("id,A\n"), DataError::Empty { cells: 0, .. }));
    assert!(matches!(error("one column\n"), DataError::UnknownFormat { .. }));
    let DataError::NotCounts { at, .. } = error("id,A,B\nc1,1,2\nc2,0.5,2\n") else {
        panic!("0.5 is no count")
    };
    assert_eq!((at.cell.as_str(), at.gene.as_str(), at.value), ("c2", "A", 0.5));
}

#[test]
fn the_user_can_name_annotations() {
    let (_folder, path) = file("t.csv", b"id,A,score\nc1,1,0.5\n");
    let options = OpenOptions { obs_columns: vec!["score".to_owned()], ..OpenOptions::default() };
    let cells = CellsFile::open_with(&path, &options).unwrap();
    assert_eq!((cells.n_genes(), cells.obs().column("score")), (1, Some(&Column::Float(vec![0.5]))));
    let options = OpenOptions { obs_columns: vec!["scores".to_owned()], ..OpenOptions::default() };
    let error = CellsFile::open_with(&path, &options).unwrap_err();
    assert!(error.to_string().contains("did you mean `score`"), "{error}");
}

#[test]
fn doubtful_columns_are_spoken_of() {
    let open = |content: &str| {
        let (_folder, path) = file("t.csv", content.as_bytes());
        CellsFile::open(&path)
    };
    let cells = open("Cell_barcode,Condition,TP53,EGFR\nc1,a,1,0\nc2,b,0,2\n").unwrap();
    let [only] = cells.warnings() else { panic!("{:?}", cells.warnings()) };
    assert!(only.ends_with(": Condition"), "{only}");
    let cells = open("id,plate,TP53,EGFR,ENSG00000000003\nc1,7,1,0,1\nc2,8,0,2,1\n").unwrap();
    assert!(cells.warnings()[0].contains("plate") && cells.n_genes() == 4, "{:?}", cells.warnings());
    // Names that are no human symbols say nothing, and neither do odd genes behind clear ones.
    for quiet in ["id,Tp53,Egfr,Kit\nc1,7,1,0\n", "id,TP53,EGFR,odd\nc1,7,1,0\n"] {
        assert_eq!(open(quiet).unwrap().warnings(), [""; 0]);
    }

    let error = open("id,TP53,EGFR\nc1,x,1\nc2,3,1\nc3,0,1\n").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`TP53`") && text.contains("`x` in line 2") && text.contains("2 of the 2"),
        "{text}"
    );
    assert!(open("id,note,EGFR\nc1,x,1\nc2,3,1\nc3,y,1\n").is_ok(), "texts and numbers are a label");

    let error = open("TP53,EGFR,KIT\n1,0,2\n3,1,1\n").unwrap_err();
    assert!(matches!(error, DataError::Ambiguous { .. }) && error.help().contains("cell_id"), "{error}");
    assert!(open("ID,EGFR,KIT\n1,0,2\n3,1,1\n").is_ok(), "cells may be called by numbers");
}
