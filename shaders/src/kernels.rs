//! The table of WGSL kernels: which files there are, and which variants (values of their template constants) the
//! launchers use.

use crate::ops::{Activation, attention_kernel, product_kernel};
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
    let mut kernels: Vec<Kernel> =
        ["bce_with_logits", "embed", "relu_backward", "scale", "sgd", "softmax_cross_entropy", "sum_blocks"]
            .into_iter()
            .map(|name| Kernel::new(name, if name == "bce_with_logits" { &[("WEIGHTED", 0)] } else { &[] }))
            .collect();
    kernels.push(Kernel::new("bce_with_logits", &[("WEIGHTED", 1)]));
    kernels.push(Kernel::new("adam", &[]));
    kernels.extend([0, 1].map(|row| Kernel::new("add", &[("ROW", row)])));
    kernels.extend([0, 1].map(|residual| Kernel::new("layer_norm", &[("RESIDUAL", residual)])));
    kernels.extend([0, 1, 2].map(|kind| Kernel::new("pool", &[("KIND", kind)])));
    for activation in Activation::ALL {
        kernels.push(Kernel::new("activate", &[("ACTIVATION", activation.code())]));
        for bias in [false, true] {
            for file in ["matmul_register", "matmul_tile"] {
                kernels.push(product_kernel(file, bias, activation));
            }
        }
    }
    for head_width in [4, 10, 16, 20, 32, 64, 80, 96, 127, 128] {
        for causal in [0, 1] {
            for file in ["attention_direct", "attention_tile"] {
                kernels.push(attention_kernel(file, head_width, causal == 1));
            }
        }
    }
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
