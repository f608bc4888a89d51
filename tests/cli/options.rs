//! `--with` of `celldag embed` and `celldag embed-drug`: values are what the parameter's type says, and the model is said once.

use crate::sandbox::{Sandbox, fixtures};

#[test]
fn the_model_is_said_once() {
    let sandbox = Sandbox::new();
    sandbox.write("c.csv", "gene,a\nTP53,1\n");
    for command in ["embed", "embed-drug"] {
        let args =
            [command, "c.csv", "--model", "scgpt", "--checkpoint", ".", "--with", "model=uce", "-o", "out"];
        let refused = sandbox.run(&args);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("--model uce"), "{}", refused.stderr);
    }
}

#[test]
fn values_are_typed_by_their_parameter() {
    let Some(fixtures) = fixtures() else { return };
    let golden = fixtures.join("golden/cellplm");
    let (cells, checkpoint) = (golden.join("input.h5ad"), golden.join("checkpoint"));
    let sandbox = Sandbox::new();
    let run = |with: &str| {
        let paths = [cells.to_str().expect("path"), checkpoint.to_str().expect("path")];
        let args = [
            "embed",
            paths[0],
            "--model",
            "cellplm",
            "--checkpoint",
            paths[1],
            "--device",
            "cpu",
            "-o",
            "o.h5ad",
        ];
        sandbox.run(&[args.as_slice(), &["--with", with]].concat())
    };
    // Text that looks like a number is text: there is no such version.
    let version = run("version=33");
    assert_ne!(version.code, 0, "{}", version.stderr);
    assert!(version.stderr.contains("20230926_85M or 20231027_85M"), "{}", version.stderr);
    let column = run("neighbourhood=obs:${x}");
    assert!(column.stderr.contains("no column `${x}`"), "{}", column.stderr);
    let layer = run("layer=last");
    assert_eq!(layer.code, 2, "{}", layer.stderr);
    assert!(layer.stderr.contains("a whole number"), "{}", layer.stderr);
    let unused = run("allow_unused=head.*");
    assert_eq!(unused.code, 2, "{}", unused.stderr);
    assert!(unused.stderr.contains("[head.*]"), "{}", unused.stderr);
    let typo = run("allow_unused=[head.*]");
    assert!(typo.code != 0 && typo.stderr.contains("`head.*`"), "{}", typo.stderr);
    assert_eq!(run("latent=expectation").code, 0);
}
