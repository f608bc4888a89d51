//! The `report` kind: report documents in, one self-contained HTML file out.

use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{ArtifactType, InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Step};

/// A report document (`.json`), as kinds that evaluate write it. Types are compared by name.
const REPORT: ArtifactType =
    ArtifactType { name: "report", about: "report document (.json): metrics, tables, figures" };
const PAGE: ArtifactType = ArtifactType { name: "page", about: "self-contained HTML page" };

/// Draws report documents.
#[derive(Clone, Copy, Debug)]
pub struct ReportKind;

impl Kind for ReportKind {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "report",
            epoch: 2,
            about: "one self-contained HTML page: pipeline, counts at each step, metrics with baselines, figures, warnings",
            inputs: vec![InPort {
                name: "metrics",
                ty: REPORT,
                many: Multiplicity::Many,
                about: "report documents, one section each",
            }],
            outputs: vec![OutPort {
                name: "page",
                ty: PAGE,
                file: "report.html",
                about: "open it in a browser; nothing is loaded from elsewhere",
            }],
            params: vec![Param::text("title", "heading of the page").default("celldag report")],
            uses_device: false,
            wants_lineage: true,
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let title = step.params.get("title").and_then(|t| t.as_str()).unwrap_or("celldag report");
        let mut documents = Vec::new();
        for input in step.gathered("metrics") {
            documents.push((input.label.clone(), read(input)?));
        }
        let page = crate::documents_page(title, &documents, step.lineage);
        fs_err::write(step.output("page")?, page).map_err(|e| NodeError::failed(e.to_string()))
    }
}

fn read(input: &celldag_engine::Input) -> Result<ReportDocument, NodeError> {
    let text = fs_err::read_to_string(&input.path).map_err(|e| NodeError::data(e.to_string()))?;
    let document: ReportDocument = serde_json::from_str(&text).map_err(|e| {
        NodeError::data(format!("{} is not a report document: {e}", input.path.display()))
            .help("connect the `report` output of an `evaluate` node")
    })?;
    if document.format != DOCUMENT_FORMAT {
        return Err(NodeError::data(format!(
            "{} has format `{}`, this program reads `{DOCUMENT_FORMAT}`",
            input.path.display(),
            document.format
        )));
    }
    Ok(document)
}
