//! `celldag graph`: a picture of the pipeline, one box a node.

use celldag_engine::graph::NodeGraph;

use super::shared::load;
use crate::args::{GraphArgs, GraphFormat};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &GraphArgs, output: &Output) -> Result<(), Failure> {
    let graph = NodeGraph::from_pipeline(&load(&args.pipeline, output)?);
    output.result(&match args.format {
        GraphFormat::Svg => graph.to_svg(),
        GraphFormat::Dot => graph.to_dot(),
        GraphFormat::Mermaid => graph.to_mermaid(),
    })
}
