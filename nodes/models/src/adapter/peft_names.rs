//! What the tensors of a PEFT folder are called, and which modules it says were trained as a whole.

use celldag_data::checkpoint::unwrapped;

use super::trained::{Tensors, module_of};

/// What stands in front of every name.
pub(super) const PREFIX: &str = "base_model.model.";

/// What a tensor of the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Of the adapter of a layer: 0 for A, 1 for B.
    Lora(String, usize),
    /// A full weight in place of the tensor of this name in the model.
    Full(String),
}

impl Role {
    /// The role of a tensor by its name in the file.
    pub(super) fn of(tensor: &str) -> Self {
        let ends = [
            (".lora_A.weight", 0),
            (".lora_A.default.weight", 0),
            (".lora_B.weight", 1),
            (".lora_B.default.weight", 1),
        ];
        match ends.iter().find_map(|(end, side)| Some((tensor.strip_suffix(end)?, *side))) {
            Some((layer, side)) => Self::Lora(unwrapped(layer), side),
            None => Self::Full(unwrapped(tensor)),
        }
    }
}

/// Whether `modules_to_save` says that a tensor was trained as a whole. As in peft, an entry is the end of the name of the module
/// or of one around it, behind a dot or not.
pub(super) fn is_saved(tensor: &str, modules: &[String]) -> bool {
    let dots = tensor.match_indices('.').map(|(at, _)| &tensor[..at]);
    modules.iter().filter(|module| !module.is_empty()).any(|module| {
        let mut around = dots.clone();
        around.any(|name| name.ends_with(module.as_str()))
    })
}

/// The modules of full weights as peft wants to be told of them: one that lies in another is saved with it.
pub(super) fn modules_to_save(saved: &Tensors) -> Vec<String> {
    let mut modules: Vec<&str> = saved.keys().map(|tensor| module_of(tensor)).collect();
    modules.sort_unstable();
    modules.dedup();
    let inside =
        |module: &str, outer: &&&str| module.strip_prefix(**outer).is_some_and(|rest| rest.starts_with('.'));
    let outermost = modules.iter().filter(|module| !modules.iter().any(|outer| inside(module, &outer)));
    outermost.map(|&module| module.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_tensor_is() {
        let lora = |layer: &str, side| Role::Lora(layer.to_owned(), side);
        let full = |name: &str| Role::Full(name.to_owned());
        for (name, role) in [
            ("base_model.model.h.0.c_attn.lora_A.weight", lora("h.0.c_attn", 0)),
            ("base_model.model.h.0.c_attn.lora_B.default.weight", lora("h.0.c_attn", 1)),
            ("base_model.model.h.0.c_attn.weight", full("h.0.c_attn.weight")),
            ("base_model.model.feat_enc.emb", full("feat_enc.emb")),
        ] {
            assert_eq!(Role::of(name), role, "{name}");
        }
    }

    #[test]
    fn modules_are_named_by_their_end() {
        let modules = ["l.1.dense", "attn"].map(str::to_owned);
        for (tensor, saved) in [
            ("l.1.dense.weight", true),
            ("bert.l.1.dense.bias", true),
            // As peft matches: text, not steps.
            ("bert.l.1.self_attn.out.weight", true),
            ("l.2.dense.weight", false),
            ("l.1.dense", false),
            ("attn", false),
        ] {
            assert_eq!(is_saved(tensor, &modules), saved, "{tensor}");
        }
        assert!(!is_saved("l.1.dense.weight", &[String::new()]));
    }

    #[test]
    fn a_module_inside_of_another_goes_with_it() {
        let names =
            ["l.0.attn.in_proj_weight", "l.0.attn.out.weight", "l.0.attn.out.bias", "l.0.attn2.weight"];
        let saved = names.map(|name| (name.to_owned(), (vec![1], vec![0.0]))).into();
        assert_eq!(modules_to_save(&saved), ["l.0.attn", "l.0.attn2"]);
    }
}
