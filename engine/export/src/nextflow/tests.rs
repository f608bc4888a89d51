//! What Nextflow cannot be told is refused.

use super::{Options, nextflow};
use crate::testing::Folder;

#[test]
fn what_a_sheet_or_a_folder_cannot_hold_is_refused() {
    let folder = Folder::new();
    let error = |text: &str| {
        let pipeline = folder.load(text);
        nextflow(&pipeline, &Options::default()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let quote = error(
        "celldag: 1\naxes: {a: [\"it's\", b]}\nnodes: {x: {uses: make, foreach: [a], with: {text: t}}}\n",
    );
    assert!(quote.contains("node `x`") && quote.contains("it's"), "{quote}");
    let lines = error("celldag: 1\nnodes: {x: {uses: make, with: {text: \"a\\nb\"}}}\n");
    assert!(lines.contains("node `x`") && lines.contains("`text`"), "{lines}");
    let twice =
        error("celldag: 1\nnodes: {x: {uses: make, with: {text: t}}}\noutputs: {a: x.text, b: x.text}\n");
    assert!(twice.contains("x.text stands in `outputs` twice"), "{twice}");
    let away = error("celldag: 1\nnodes: {x: {uses: make, with: {text: t}}}\noutputs: {/tmp/a: x.text}\n");
    assert!(away.contains("is absolute"), "{away}");
}

#[test]
fn a_path_with_signs_of_groovy_is_quoted_once_in_each_place() {
    let pipeline = Folder::new()
        .load("celldag: 1\nnodes: {x: {uses: make, with: {text: t}}}\noutputs: {a$b.txt: x.text}\n");
    let files = nextflow(&pipeline, &Options::default()).unwrap();
    let main = &files[std::path::Path::new("main.nf")];
    assert!(main.contains("path('publish/a$b.txt', glob: false)"), "{main}");
    assert!(main.contains(r"--out 'text=publish/a\$b.txt'"), "{main}");
}
