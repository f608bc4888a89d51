//! Kinds of the test world.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Ran;
use crate::artifact::ArtifactType;
use crate::kind::{InPort, Kind, KindSpec, Multiplicity, OutPort};
use crate::param::{Param, Params};
use crate::part;
use crate::registry::{Registered, Registry};
use crate::step::{NodeError, Outlook, Step};

/// How long the look-up of a slow input takes at most.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

type Work = dyn Fn(&Step<'_>) -> Result<(), NodeError> + Send + Sync;

/// A kind made of a description and a closure.
struct Toy {
    spec: KindSpec,
    ran: Ran,
    work: Arc<Work>,
}

impl Kind for Toy {
    fn spec(&self) -> KindSpec {
        self.spec.clone()
    }

    fn input_files(
        &self,
        _port: &str,
        path: &Path,
        _params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        assert!(!path.ends_with("trap"), "trapped");
        // As a large input does, or a server that does not answer: until three jobs have run.
        let name = path.file_name().unwrap().to_string_lossy();
        let begin = Instant::now();
        while name.starts_with("slow") && self.ran.lock().unwrap().len() < 3 && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        self.ran.lock().unwrap().push(self.spec.name.to_owned());
        (self.work)(step)
    }
}

const TEXT: ArtifactType = ArtifactType { name: "text", about: "text" };

fn port(name: &'static str, many: Multiplicity) -> InPort {
    InPort { name, ty: ArtifactType::FILE, many, about: "" }
}

/// The kinds of this world:
///
/// - `keep` (in `cells`, out `cells`): lines of at least `min`; perf parameter `batch`; fact `kept`
/// - `sum` (in `cells`, out `total`): sum times `factor`
/// - `list` (in `parts`, out `text`): labels and contents
/// - `trace` (in `parts`, out `text`): its lineage
/// - `act` (in `after`, out `text`): does what `what` says
/// - `device`: as `act`, on the device
/// - `report`: as `act`, into a .json file
pub(super) fn kind_called(name: &str, epoch: u32, ran: &Ran) -> Registered {
    let out = |name| OutPort { name, ty: TEXT, file: "result.txt", about: "" };
    let spec = |name, inputs, output, params| KindSpec {
        name,
        epoch,
        about: "",
        inputs,
        outputs: vec![out(output)],
        params,
        uses_device: name == "device",
        wants_lineage: name == "trace",
    };
    let many = || vec![port("parts", Multiplicity::Many)];
    let act = || {
        vec![
            Param::text("what", "").default("write"),
            Param::text("text", "").default("x"),
            Param::int("n", "").default(0),
            Param::int("batch", "").default(8).perf(),
        ]
    };
    let (spec, work): (KindSpec, Arc<Work>) = match name {
        "keep" => (
            spec(
                "keep",
                vec![port("cells", Multiplicity::One)],
                "cells",
                vec![
                    Param::int("min", "").default(0),
                    Param::float("share", 0.0, 1.0, "").default(0.2),
                    Param::int("batch", "").default(8).perf(),
                ],
            ),
            Arc::new(keep),
        ),
        "sum" => (
            spec(
                "sum",
                vec![port("cells", Multiplicity::One)],
                "total",
                vec![Param::float("factor", 0.0, 1e6, "").default(1.0)],
            ),
            Arc::new(sum),
        ),
        "list" => (spec("list", many(), "text", Vec::new()), Arc::new(list)),
        "trace" => (
            spec("trace", many(), "text", Vec::new()),
            Arc::new(|step: &Step<'_>| put(step, "text", &step.lineage.to_string())),
        ),
        "act" => (spec("act", vec![port("after", Multiplicity::Many)], "text", act()), Arc::new(self::act)),
        "report" => {
            let mut spec = spec("report", Vec::new(), "text", act());
            spec.outputs[0].file = "report.json";
            (spec, Arc::new(self::act))
        }
        _ => (spec("device", vec![port("after", Multiplicity::Many)], "text", act()), Arc::new(self::act)),
    };
    let mut registry = Registry::new();
    let name = spec.name;
    registry.add(Toy { spec, ran: Arc::clone(ran), work });
    registry.get(name).unwrap().clone()
}

/// A shard writes the same text, as its part.
fn put(step: &Step<'_>, port: &str, text: &str) -> Result<(), NodeError> {
    let port = if matches!(step.work, part::Work::Shard { .. }) { part::PART } else { port };
    fs_err::write(step.output(port)?, text).map_err(|e| NodeError::failed(e.to_string()))
}

fn get(step: &Step<'_>, port: &str) -> Result<String, NodeError> {
    fs_err::read_to_string(&step.input(port)?.path).map_err(|e| NodeError::data(e.to_string()))
}

fn numbers(text: &str) -> Result<Vec<i64>, NodeError> {
    let number = |line: &str| line.parse().map_err(|_| NodeError::data(format!("`{line}` is not a number")));
    text.lines().map(number).collect()
}

fn keep(step: &Step<'_>) -> Result<(), NodeError> {
    let min = step.params.get("min").and_then(Value::as_i64).unwrap();
    let kept: Vec<i64> = numbers(&get(step, "cells")?)?.into_iter().filter(|n| *n >= min).collect();
    step.fact("kept", kept.len());
    if kept.is_empty() {
        step.warn("nothing is left");
    }
    step.execution("batch", step.params.get("batch").cloned().unwrap());
    put(step, "cells", &kept.iter().map(|n| format!("{n}\n")).collect::<String>())
}

fn sum(step: &Step<'_>) -> Result<(), NodeError> {
    let factor = step.params.get("factor").and_then(Value::as_f64).unwrap();
    let total: i64 = numbers(&get(step, "cells")?)?.iter().sum();
    put(step, "total", &(total as f64 * factor).to_string())
}

fn list(step: &Step<'_>) -> Result<(), NodeError> {
    let mut text = String::new();
    for part in step.gathered("parts") {
        text += &format!("{}={}\n", part.label, fs_err::read_to_string(&part.path).unwrap().trim_end());
    }
    put(step, "text", &text)
}

fn act(step: &Step<'_>) -> Result<(), NodeError> {
    let word = |name: &str| step.params.get(name).and_then(Value::as_str).unwrap();
    let n = step.params.get("n").and_then(Value::as_u64).unwrap();
    match word("what") {
        "fail" => return Err(NodeError::failed("it broke\nin two lines").help("mend it")),
        "say" => return Err(NodeError::failed(word("text"))),
        "data" => return Err(NodeError::data("bad cells")),
        "device" => return Err(NodeError::device("device lost")),
        "lost" => return Err(NodeError::lost("device gone")),
        // Comes back when it has been lost once.
        "lost-once" if !Path::new(word("text")).exists() => {
            fs_err::write(word("text"), "").unwrap();
            return Err(NodeError::lost("device gone"));
        }
        "lost-once" => return put(step, "text", "back"),
        "diverge" => return Err(NodeError::failed("the loss is not finite").outlook(Outlook::Lasting)),
        // Needs a batch of at most `n`.
        "memory" => {
            let batch = step.params.get("batch").and_then(Value::as_u64).unwrap();
            if batch > n {
                return Err(NodeError::memory(format!("a batch of {batch} does not fit")));
            }
            return put(step, "text", "fits");
        }
        "where" => {
            step.execution("device", step.device);
            step.execution("gpus", step.gpus.iter().map(|gpu| gpu.device.clone()).collect::<Vec<_>>());
            step.execution("memory_limit", step.memory_limit);
            std::thread::sleep(Duration::from_millis(n));
        }
        "panic" => panic!("oh no: {n}"),
        "nothing" => return Ok(()),
        "folder" => {
            return fs_err::create_dir(step.output("text")?).map_err(|e| NodeError::failed(e.to_string()));
        }
        // Of `n` GiB, which take no space, and minutes to hash.
        "hole" => {
            return fs_err::File::create(step.output("text")?)
                .unwrap()
                .set_len(n << 30)
                .map_err(|e| NodeError::failed(e.to_string()));
        }
        "sleep" => std::thread::sleep(Duration::from_millis(n)),
        "progress" => {
            step.progress.total(n, "cells");
            for _ in 0..n {
                step.progress.advance(1);
            }
        }
        // Is done when somebody stops it, with bytes that are no text.
        "late" => {
            while step.check_cancelled().is_ok() {
                std::thread::sleep(Duration::from_millis(2));
            }
            return fs_err::write(step.output("text")?, [0xff; 1024])
                .map_err(|e| NodeError::failed(e.to_string()));
        }
        // Goes on until somebody stops it.
        "hang" => loop {
            step.check_cancelled()?;
            std::thread::sleep(Duration::from_millis(2));
        },
        "steps" | "steps-data" | "steps-fail" | "steps-panic" => {
            return steps(step, word("what"), word("text"), n);
        }
        // As `meddle`, and then saves.
        "save-meddled" => {
            fs_err::write(word("text"), "changed while running").unwrap();
            step.resume().unwrap().save("state", "", b"of other content");
        }
        "meddle-data" => {
            fs_err::write(word("text"), "half").unwrap();
            return Err(NodeError::data("bad cells"));
        }
        // Overwrites the file that it reads.
        "meddle" => fs_err::write(word("text"), "changed while running").unwrap(),
        "clock" => {
            let now = json!(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos().to_string());
            return put(step, "text", &now.to_string());
        }
        _ => {}
    }
    put(step, "text", word("text"))
}

/// Counts to `n`, 10 ms each, and saves after each. A run that `what` stops does so after the number of steps in the file
/// `path`, if it is there.
fn steps(step: &Step<'_>, what: &str, path: &str, n: u64) -> Result<(), NodeError> {
    let stop = fs_err::read_to_string(path).ok().and_then(|text| text.trim().parse::<usize>().ok());
    let mut done = step.resume().and_then(|resume| resume.load("state", "")).unwrap_or_default();
    step.execution("resumed_at", done.len());
    step.progress.total(n, "steps");
    step.progress.advance(done.len() as u64);
    while (done.len() as u64) < n {
        std::thread::sleep(Duration::from_millis(10));
        done.push(done.len() as u8);
        step.progress.advance(1);
        if let Some(resume) = step.resume() {
            resume.save("state", "", &done);
        }
        if stop == Some(done.len()) {
            match what {
                "steps-data" => return Err(NodeError::data("bad cells")),
                "steps-fail" => return Err(NodeError::failed("server gone")),
                "steps-panic" => panic!("oh no"),
                _ => {
                    fs_err::write(format!("{path}.hung"), "").unwrap();
                    loop {
                        step.check_cancelled()?;
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            }
        }
    }
    put(step, "text", &format!("{done:?}"))
}
