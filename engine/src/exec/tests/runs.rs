use std::time::{Duration, Instant};

use super::{node, read, text, world};
use crate::error::ExitClass;
use crate::run::{GpuSlot, Gpus, RunOptions};
use crate::world::{World, options};

fn run(world: &World, rest: &str) -> crate::record::RunRecord {
    world.run(&read(world, &node(rest)))
}

/// Message and hint of a node that fails, without the name of the folder.
fn failure(rest: &str) -> (ExitClass, String) {
    let world = world();
    let record = run(&world, rest);
    let failure = record.job("a").unwrap().failure.clone().expect("it fails");
    let told = format!("{}\nhint: {}", failure.message, failure.help.unwrap_or_default());
    // Run and key are other ones each time.
    let told = match told.split_once(" is in ") {
        Some((before, place)) => {
            assert!(std::path::Path::new(place).is_file(), "{place}");
            format!("{before} is in PLACE")
        }
        None => told,
    };
    (failure.class, told)
}

#[test]
fn placeholders_become_paths_and_values() {
    let world = world();
    let record = run(
        &world,
        "    in: {one: numbers.txt, all: [numbers.txt, more.txt]}\n    \
         with: {min: 007, names: [x, y z]}\n    \
         code: [lib/]\n    \
         env: {OUT: \"{out:text}\"}\n    \
         run: [sh, -c, 'echo \"$#: $3 $4 $5 $8\" > \"$OUT\"; cat \"$1\" \"$6\" \"$7\" >> \"$OUT\"; sh {code:lib/part.sh} >> \"$OUT\"; \
         test -d {scratch} && test {threads} -ge 1 && grep -c path {list:all} >> \"$OUT\"', sh, \"{in:one}\", x, \"min={param:min}\", \
         \"{param:names}\", \"{in:all}\", \"{{in:one}}\"]\n",
    );
    assert_eq!(text(&world, &record), "8: min=007 x y z {in:one}\n1\n2\n3\n1\n2\npart\n2\n");
}

#[test]
fn the_environment_is_what_was_declared() {
    let world = world();
    let record = run(
        &world,
        "    env: {B: \"2\"}\n    \
         run: [sh, -c, 'env | cut -d= -f1 | sort | tr \"\\n\" \" \" > \"{out:text}\"; echo \"$LC_ALL\" >> \"{out:text}\"; \
         for f in \"$HOME\" \"$TMPDIR\" \"$PWD\"; do case $f in */store/tmp/*/scratch/*) echo inside;; esac; done >> \"{out:text}\"; \
         cat >> \"{out:text}\"']\n",
    );
    // The shell itself sets PWD, and some set `_`; nothing comes from the standard input.
    let told = text(&world, &record).replace(" _ ", " ");
    assert_eq!(told, "B HOME LC_ALL PATH PWD TMPDIR C.UTF-8\ninside\ninside\ninside\n");
}

#[test]
fn code_that_nobody_declared_is_not_there() {
    let (_, told) = failure("    run: [sh, -c, 'sh lib/part.sh > {out:text}']\n");
    assert!(told.contains("exit code"), "{told}");
    let (_, told) = failure("    run: [sh, -c, '. $(dirname {code:tool.sh})/lib/part.sh > {out:text}']\n");
    assert!(told.contains("part.sh"), "{told}");
}

#[test]
fn programs_that_fail_say_why() {
    let shown = [
        "    run: [sh, -c, 'echo first; echo second >&2; exit 3', \"{out:text}\"]\n",
        "    run: [sh, -c, 'kill -9 $$', \"{out:text}\"]\n",
        "    run: [sh, -c, 'true', \"{out:text}\"]\n",
        "    run: [sh, -c, 'mkdir {out:text}']\n",
        "    run: [no-such-program-anywhere, \"{out:text}\"]\n",
        "    run: [\"{code:lib/part.sh}\", \"{out:text}\"]\n",
        "    version: [sh, -c, 'echo bad; exit 1']\n    run: [touch, \"{out:text}\"]\n",
        "    secrets: [NO_SUCH_SECRET_ANYWHERE]\n    run: [touch, \"{out:text}\"]\n",
    ]
    .map(|rest| {
        let (class, told) = failure(rest);
        format!("{rest}{class:?}: {told}\n")
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_program_can_ask_to_be_tried_again() {
    let world = world();
    let mark = world.path("mark");
    let rest = |code: u8| {
        format!(
            "    retries: 1\n    run: [sh, -c, 'if [ -e {mark} ]; then echo x > \"$1\"; else touch {mark}; exit {code}; fi', sh, \"{{out:text}}\"]\n",
            mark = mark.display()
        )
    };
    assert_eq!(text(&world, &run(&world, &rest(75))), "x\n");
    fs_err::remove_file(&mark).unwrap();
    let failed = run(&world, &rest(74));
    assert!(failed.job("a").unwrap().failure.as_ref().unwrap().message.contains("exit code 74"));
}

#[test]
fn a_timeout_ends_the_children_too() {
    let world = world();
    let marker = world.path("alive");
    let begin = Instant::now();
    let record = run(
        &world,
        &format!(
            "    timeout: 1s\n    run: [sh, -c, '(while true; do date +%s%N > {}; sleep 0.05; done) & sleep 60', \"{{out:text}}\"]\n",
            marker.display()
        ),
    );
    assert!(record.job("a").unwrap().failure.as_ref().unwrap().message.contains("timeout after 1 s"));
    assert!(begin.elapsed() < Duration::from_secs(8));
    let last = fs_err::read_to_string(&marker).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(fs_err::read_to_string(&marker).unwrap(), last, "a child still runs");
}

#[test]
fn secrets_reach_the_program_and_nothing_else() {
    let world = world();
    // A variable that is there wherever tests run: its value stands in for a secret.
    let value = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let record = run(
        &world,
        "    secrets: [CARGO_MANIFEST_DIR]\n    \
         run: [sh, -c, 'echo \"using $CARGO_MANIFEST_DIR\"; echo $CARGO_MANIFEST_DIR | wc -c > {out:text}']\n",
    );
    assert_eq!(text(&world, &record).trim(), (value.len() + 1).to_string());
    let (_, told) = failure(
        "    secrets: [CARGO_MANIFEST_DIR]\n    run: [sh, -c, 'echo \"key $CARGO_MANIFEST_DIR is bad\"; exit 1', \"{out:text}\"]\n",
    );
    assert!(told.contains("key *** is bad"), "{told}");
    let mut open = vec![world.path("store")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs_err::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = fs_err::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(&value), "{}", path.display());
        }
    }
}

#[test]
fn what_a_program_prints_is_part_of_its_result() {
    let world = world();
    let rest = "    run: [sh, -c, 'echo out; echo err >&2; touch {out:text}']\n";
    let log =
        |record: &crate::record::RunRecord| record.job("a").unwrap().summary.execution["log"]["text"].clone();
    let first = run(&world, rest);
    assert_eq!(log(&first), "out\nerr\n");
    let kept: Vec<_> =
        fs_err::read_dir(first.folder.join("logs")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs_err::read_to_string(&kept[0]).unwrap(), "out\nerr\n");
    let second = run(&world, rest);
    assert_eq!((second.header.counts.cached, log(&second)), (1, "out\nerr\n".into()));
}

/// Two GPUs, one a job: each program is shown the one that its job holds, and the key does not know which.
#[test]
fn a_program_is_shown_the_gpu_of_its_job() {
    let world = world();
    let text_of = "    resources: {gpu: 1}\n    \
                   run: [sh, -c, 'echo \"$CUDA_VISIBLE_DEVICES $CELLDAG_GPUS\" > \"{out:text}\"']\n";
    let pipeline = read(&world, &node(text_of));
    let slot = |pci: &str, id: &str| GpuSlot {
        device: format!("pci:{pci}"),
        pci: pci.to_owned(),
        variable: Some(("CUDA_VISIBLE_DEVICES".to_owned(), id.to_owned())),
        ..GpuSlot::default()
    };
    let gpus = Gpus::known(vec![slot("0000:65:00.0", "GPU-b"), slot("0000:b1:00.0", "GPU-c")]);
    let record = world.run_with(&pipeline, &RunOptions { gpus, ..options() });
    assert_eq!(text(&world, &record), "GPU-b 0000:65:00.0\n");
    assert!(world.plan(&pipeline).is_cached(), "another GPU is no other work");
}
