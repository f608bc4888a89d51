//! The page of a run that is as large as a real study.

use std::collections::BTreeMap;

use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::record::{InputFrom, InputRecord, RecordedFailure};
use celldag_engine::{Counts, ExitClass, JobOutcome, JobRecord, RunHeader, RunRecord, RunStatus, Summary};

use super::*;

pub(crate) fn job(node: &str, coordinates: &[(&str, String)], from: Option<&str>) -> JobRecord {
    let axes: Vec<String> = coordinates.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    let from = from.map_or(InputFrom::File("/data/cells.h5ad".into()), |node| InputFrom::Job {
        id: format!("{node}[{}]", axes[..axes.len().min(2)].join(",")),
        port: "out".to_owned(),
    });
    let mut summary = Summary::default();
    summary.warnings.push(format!("{} genes are not in the vocabulary", axes.join("").len()));
    JobRecord {
        id: format!("{node}[{}]", axes.join(",")),
        node: node.to_owned(),
        coordinates: coordinates.iter().map(|(axis, value)| ((*axis).to_owned(), value.clone())).collect(),
        kind: node.to_owned(),
        outcome: JobOutcome::Ran,
        state: None,
        key: None,
        action: None,
        seconds: 1.5,
        inputs: vec![InputRecord { port: "in".to_owned(), label: String::new(), from }],
        outputs: BTreeMap::new(),
        summary,
        remarks: Vec::new(),
        failure: None,
        because: None,
    }
}

/// The header of a run that failed.
pub(crate) fn header() -> RunHeader {
    RunHeader {
        format: String::new(),
        id: "20260101T000000.000-abcd".to_owned(),
        pipeline: "study".to_owned(),
        file: "study.yaml".into(),
        root: "/study".into(),
        text_digest: None,
        included: None,
        secrets: Vec::new(),
        version: "0".to_owned(),
        device: "auto".to_owned(),
        identity: None,
        only: Vec::new(),
        force: Vec::new(),
        started: "2026-01-01T00:00:00.000Z".to_owned(),
        finished: None,
        seconds: 1.0,
        status: RunStatus::Failed,
        exit: ExitClass::Device,
        counts: Counts::default(),
        saved_seconds: 0.0,
        imported: None,
    }
}

/// 36 data sets x 9 models x 2 strategies x 10 folds: 13,644 jobs, of which 6480 have a report.
fn study() -> (RunRecord, Vec<(String, ReportDocument)>) {
    let (mut jobs, mut documents) = (Vec::new(), Vec::new());
    for d in 0..36 {
        let dataset = ("dataset", format!("study_of_cells_{d}"));
        jobs.push(job("qc", std::slice::from_ref(&dataset), None));
        for m in 0..9 {
            let model = ("model", format!("model{m}"));
            let at = [dataset.clone(), model.clone()];
            jobs.push(job("tokens", &at, Some("qc")));
            jobs.push(job("embedding", &at, Some("tokens")));
            for strategy in ["frozen", "lora"] {
                for fold in 0..10 {
                    let at = [
                        dataset.clone(),
                        model.clone(),
                        ("strategy", strategy.to_owned()),
                        ("fold", fold.to_string()),
                    ];
                    jobs.push(job("train", &at, Some("embedding")));
                    let metrics = job("evaluate", &at, Some("train"));
                    let headline = vec![
                        ("AUROC".to_owned(), Some(0.5 + f64::from(m) / 100.0)),
                        ("AUPRC".to_owned(), None),
                    ];
                    let warnings = vec!["labels are fixed by sample".to_owned()];
                    let format = DOCUMENT_FORMAT.to_owned();
                    let document = ReportDocument { format, headline, warnings, ..ReportDocument::default() };
                    documents.push((metrics.id.clone(), document));
                    jobs.push(metrics);
                }
            }
        }
    }
    for job in jobs.iter_mut().filter(|job| job.node == "train").take(300) {
        job.outcome = JobOutcome::Failed;
        job.failure = Some(RecordedFailure {
            class: ExitClass::Device,
            message: format!("{} does not fit on the device", job.id),
            help: None,
        });
    }
    (RunRecord { header: header(), jobs, outputs: Vec::new(), folder: "/nowhere".into() }, documents)
}

#[test]
fn the_page_of_a_study_stays_small_and_tells_what_matters() {
    let (run, documents) = study();
    assert_eq!((run.jobs.len(), documents.len()), (13_644, 6_480));
    assert!(is_collapsed(&run));
    let page = run_page(&run, &documents);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.len() < 200_000, "{} bytes: much more than it needs", page.len());
    for told in [
        "AUROC of evaluate by model",
        "model8",
        "0.580",
        "and 280 failures more",
        "6480 documents",
        "Jobs that took longest",
    ] {
        assert!(page.contains(told), "{told}");
    }
    // A box for each node of the graph, with its number of jobs.
    for count in ["36", "324", "6480"] {
        assert!(page.contains(&format!("× {count}")), "{count} jobs");
    }
    if let Some(path) = std::env::var_os("CELLDAG_STUDY_PAGE") {
        fs_err::write(path, page).unwrap();
    }
}

#[test]
fn a_small_run_is_told_job_by_job() {
    let (mut run, mut documents) = study();
    run.jobs.truncate(50);
    documents.truncate(2);
    let page = run_page(&run, &documents);
    assert!(!is_collapsed(&run));
    assert!(run.jobs.iter().all(|job| page.contains(&job.id)));
}
