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
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// File name → text.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../wgsl/", $name, ".wgsl")))),*];
    };
}

files!(
    "activate",
    "adam",
    "add",
    "attention_direct",
    "attention_tile",
    "bce_with_logits",
    "embed",
    "layer_norm",
    "matmul_register",
    "matmul_tile",
    "pool",
    "relu_backward",
    "scale",
    "sgd",
    "softmax_cross_entropy",
    "sum_blocks",
);

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

    fn label(&self) -> String {
        let constants: Vec<String> =
            self.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}[{}]", self.name, constants.join(","))
    }
}

/// Every kernel with every combination of constants that the launchers can ask for (attention: typical head widths).
pub fn kernel_instances() -> Vec<KernelInstance> {
    let kernels = ops::kernels();
    kernels.iter().map(|kernel| KernelInstance { label: kernel.label(), source: kernel.source() }).collect()
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
