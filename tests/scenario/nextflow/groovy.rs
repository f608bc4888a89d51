//! Functions of main.nf in Groovy itself, which Nextflow's language server brings along: what is executed elsewhere in these tests
//! follows its documentation, and this is the real thing.

use std::process::Command;

use super::lint;
use crate::sandbox::{Sandbox, quickstart_data};

/// What Nextflow defines around the functions, and what the functions should say.
const DRIVER: &str = r#"
import java.nio.file.Path
import java.nio.file.Paths

def tuple(Object... items) { items.toList() }
class Results {
    List items
    def flatMap(Closure each) { items.collectMany { item -> each.call(item) } }
}
def paths = { List names -> names.collect { name -> Paths.get(name) } }
def (one, other, third) = paths(['/x/1/f', '/x/2/f', '/x/3/f'])
def rows = [[[name: 'a'], one, [other, one], []], [[name: 'b'], one, [third], third]]
assert files_of(rows, 1) == [one] && places_of(rows, 1) == [[0], [0]]
assert files_of(rows, 2) == [other, one, third] && places_of(rows, 2) == [[0, 1], [2]]
assert files_of(rows, 3) == [third] && places_of(rows, 3) == [[], [0]]
assert rows[0][2] == [other, one]

def batch = [[name: 'a'], [name: 'ba'], [name: 'b%27']]
def made = paths(['/w/out/ba/d/f', '/w/out/b%27/d/f', '/w/out/a/d/f'])
def found = of_jobs(new Results(items: [[batch, made]]), 'out/*/d/f')
assert found == [[batch[0], made[2]], [batch[1], made[0]], [batch[2], made[1]]]

// What scripts and channels ask of Groovy.
assert [[name: 'b'], [name: 'a']].withIndex().collect { meta, number -> "${meta.name}${number}" } == ['b0', 'a1']
assert [[results: [x: 1]], [results: [y: 2]]].findResult { meta -> meta.results['y'] } == 2
assert [["fold=${2}", 'x'], ["fold=${1}", 'y']].toSorted { pair -> pair[0] }.collect { pair -> pair[1] } == ['y', 'x']
assert ['64', '32'].take(7).last() == '32'

def signs = ['', 'a', ' ', "'", '"', '$', '\\', '\n', '\r', '\t', '`', '!', '${x}', "é"]
signs.each { first -> signs.each { last ->
    def text = first + last
    def word = quote(text)
    assert !word.contains('\n') && !word.contains('\r')
    print("${text.bytes.encodeHex()} ${word}\u0000")
} }
"#;

#[test]
fn functions_mean_in_groovy_what_they_should() {
    let Some(jar) = lint::server() else { return };
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let cells = cells.trim_start_matches("cells=");
    sandbox.write(
        "p.yaml",
        &format!(
            "celldag: 1\naxes: {{a: [x, y]}}\nnodes: {{qc: {{uses: qc, foreach: [a], in: {{cells: {cells}}}, batch: [a]}}}}\n"
        ),
    );
    sandbox.ok(&["export", "nextflow", "p.yaml", "-o", "flow"]);
    let main = fs_err::read_to_string(sandbox.join("flow/main.nf")).expect("main.nf");
    let functions: String = main
        .split("\n\n")
        .filter(|part| part.lines().any(|line| line.starts_with("def ")))
        .collect::<Vec<_>>()
        .join("\n\n");
    let script = sandbox.write("functions.groovy", &format!("{functions}\n{DRIVER}"));
    let done = Command::new("java")
        .args(["-Dfile.encoding=UTF-8", "-cp"])
        .arg(jar)
        .args(["groovy.ui.GroovyMain", "-c", "UTF-8"])
        .arg(script)
        .output()
        .expect("java starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let words = String::from_utf8(done.stdout).expect("text");
    let mut count = 0;
    for (text, word) in
        words.split_terminator('\0').map(|pair| pair.split_once(' ').expect("a text and its word"))
    {
        let told =
            Command::new("bash").args(["-uec", &format!("printf %s {word} | od -An -v -tx1")]).output();
        let told = String::from_utf8(told.expect("bash starts").stdout).expect("text");
        assert_eq!(told.split_whitespace().collect::<String>(), text, "{word}");
        count += 1;
    }
    assert_eq!(count, 14 * 14);
}
