//! The table of WGSL kernels: which files there are, and which variants (values of their template constants) the
//! launchers use.

use crate::ops;
use crate::source;

/// A kernel file with values for its constants. Equal kernels compile to one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kernel {
    /// Name of the file in `wgsl/`.
    pub(crate) name: &'static str,
    /// Template constants.
    pub(crate) constants: Vec<(&'static str, u32)>,
}

/// A kernel as it is given to the driver, for tests and tools.
#[derive(Debug, Clone)]
pub struct KernelInstance {
    /// File name and constants.
    pub label: String,
    /// WGSL after expansion.
    pub source: String,
    /// What it needs beyond the WebGPU baseline: `subgroups`, `shader-f16`, `cooperative-matrix`. Launched only where the
    /// adapter has all of it.
    pub needs: Vec<&'static str>,
}

/// Marks in a source of what a kernel needs.
const NEEDS: &[(&str, &str)] = &[
    ("subgroup", "subgroups"),
    ("enable f16;", "shader-f16"),
    ("enable wgpu_cooperative_matrix;", "cooperative-matrix"),
];

/// How kernel files declare their parameters, and how they have them as immediate data.
const UNIFORM: &str = "@group(0) @binding(0) var<uniform> p: Parameters;";
const IMMEDIATE: &str = "var<immediate> p: Parameters;";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// File name → text.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../wgsl/", $name, ".wgsl")))),*];
    };
}

files!(
    "activate",
    "activate_backward",
    "adagrad",
    "adam",
    "add",
    "attention_backward_kv",
    "attention_backward_q",
    "attention_direct",
    "attention_stats",
    "attention_tile",
    "bce_with_logits",
    "broadcast",
    "clip",
    "columns",
    "csr_dots",
    "csr_matmul",
    "dropout",
    "embed",
    "embed_backward",
    "flow_curve",
    "gated",
    "linear_attention_features",
    "linear_attention_join",
    "linear_attention_product",
    "linear_attention_slopes",
    "mask",
    "matmul_cooperative",
    "matmul_register",
    "matmul_tile",
    "multiply",
    "norm",
    "norm_backward",
    "mean_squared_error",
    "performer_finish",
    "performer_maxima",
    "performer_maximum_slopes",
    "performer_offsets",
    "performer_statistics",
    "pool",
    "pool_max_backward",
    "pool_spread",
    "product_exponents",
    "rotary",
    "row_dot",
    "scale",
    "scale_by",
    "segment_shares",
    "sgd",
    "softmax",
    "softmax_backward",
    "softmax_cross_entropy",
    "sum_blocks",
);

impl KernelInstance {
    /// The WGSL for adapters with immediate data: kernels find their parameters there instead of in a uniform buffer.
    pub fn with_immediates(&self) -> String {
        self.source.replace(UNIFORM, IMMEDIATE)
    }
}

impl Kernel {
    pub(crate) fn new(name: &'static str, constants: &[(&'static str, u32)]) -> Kernel {
        Kernel { name, constants: constants.to_vec() }
    }

    /// The WGSL to compile. A kernel that does not expand gives an invalid source, which the driver reports and the
    /// tests of every instance find.
    pub(crate) fn source(&self) -> String {
        let text = FILES.iter().find(|(name, _)| *name == self.name).map_or("", |(_, text)| *text);
        source::expand(text, &self.constants).unwrap_or_else(|error| format!("#error {}: {error}", self.name))
    }

    /// As [`Kernel::source`], with the parameters as immediate data of the dispatch.
    pub(crate) fn source_with_immediates(&self) -> String {
        self.source().replace(UNIFORM, IMMEDIATE)
    }

    fn label(&self) -> String {
        let constants: Vec<String> =
            self.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}[{}]", self.name, constants.join(","))
    }
}

/// Every kernel file with the combinations of constants that are tested: all that the launchers ask for where they are
/// few, and a choice that covers every branch of the file where they are many (products, attention by head width).
pub fn kernel_instances() -> Vec<KernelInstance> {
    let instance = |kernel: &Kernel| {
        let source = kernel.source();
        // Comments may speak of what the code does not use.
        let code = || source.lines().map(|line| line.split("//").next().unwrap_or_default());
        let has = |mark: &str| code().any(|line| line.contains(mark));
        let needs = NEEDS.iter().filter(|(mark, _)| has(mark)).map(|(_, name)| *name).collect();
        KernelInstance { label: kernel.label(), source, needs }
    };
    ops::kernels().iter().map(instance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_instances() {
        let labels: Vec<String> = kernel_instances().into_iter().map(|instance| instance.label).collect();
        for (name, _) in FILES {
            assert!(
                labels.iter().any(|label| label.starts_with(&format!("{name}["))),
                "{name} is never tested"
            );
        }
    }
}
