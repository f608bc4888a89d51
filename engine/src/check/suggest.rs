//! Names that the user may have meant.

/// The candidate nearest to `name`, if any is near enough to be a slip of the pen.
#[must_use]
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = name.to_lowercase().replace('_', "-");
    let mut best: Option<(usize, &str)> = None;
    let mut begins = None;
    for candidate in candidates {
        if folded.len() >= 3 && candidate.to_lowercase().starts_with(&folded) {
            begins.get_or_insert(candidate);
        }
        let distance = strsim::damerau_levenshtein(&folded, &candidate.to_lowercase().replace('_', "-"));
        if best.is_none_or(|(smallest, _)| distance < smallest) {
            best = Some((distance, candidate));
        }
    }
    let (distance, candidate) = best?;
    let length = name.chars().count().max(candidate.chars().count());
    (distance <= 1.max(length / 3) && distance < length).then_some(candidate).or(begins)
}

/// A hint: the nearest candidate, else all of them.
pub(crate) fn hint<'c>(
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() { None } else { Some(format!("{what}: {}", all.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let names = ["qc", "normalize", "tokenize", "embed", "mlp-head"];
        assert_eq!(nearest("nrmalize", names), Some("normalize"));
        assert_eq!(nearest("tokenise", names), Some("tokenize"));
        assert_eq!(nearest("mlp_head", names), Some("mlp-head"));
        assert_eq!(nearest("QC", names), Some("qc"));
        assert_eq!(nearest("norm", names), Some("normalize"));
        assert_eq!(nearest("report", names), None);
        assert_eq!(nearest("x", names), None);
        assert_eq!(
            hint("x", "known kinds", ["a-kind", "b-kind"]).as_deref(),
            Some("known kinds: a-kind, b-kind")
        );
    }
}
