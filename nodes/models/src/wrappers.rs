//! Names that tools put around those of a model when they save it.

/// What DataParallel, peft and `torch.compile` put in front of the names of a model.
const PREFIXES: [&str; 3] = ["module.", "base_model.model.", "_orig_mod."];

/// The name of a tensor or layer without what wrappers add: prefixes in any order, and the step `base_layer`, below which
/// peft keeps the weight of a layer that has an adapter.
pub(crate) fn unwrapped(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name.split('.').filter(|part| *part != "base_layer").collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_away_in_any_order() {
        for name in [
            "h.0.attn.c_attn.weight",
            "module.h.0.attn.c_attn.weight",
            "base_model.model.module.h.0.attn.c_attn.base_layer.weight",
            "module._orig_mod.base_model.model.h.0.attn.c_attn.base_layer.weight",
        ] {
            assert_eq!(unwrapped(name), "h.0.attn.c_attn.weight");
        }
        assert_eq!(unwrapped("decoder.module.weight"), "decoder.module.weight");
    }
}
