//! What other names of genes would add to what a vocabulary finds.

use celldag_models::Coverage;

/// Says that genes would be found by other names, where these are not asked for and it matters: at least one in a hundred
/// genes of the vocabulary, or few genes found at all.
pub(super) fn hint(coverage: &Coverage) -> Option<String> {
    let Coverage { genes, matched, tokens, vocabulary_genes, aliases_would_find, .. } = *coverage;
    let few = 2 * matched < genes || 2 * tokens < vocabulary_genes;
    if aliases_would_find == 0 || (!few && 100 * aliases_would_find < vocabulary_genes) {
        return None;
    }
    Some(format!(
        "gene_aliases = hgnc would find {aliases_would_find} more genes of the vocabulary's {vocabulary_genes}, by their Ensembl \
         ids or other names; without it they are left out, as the authors do"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_where_it_matters() {
        let said = |aliases_would_find, matched| {
            let coverage = Coverage {
                genes: 20_000,
                matched,
                tokens: matched,
                vocabulary_genes: 20_000,
                aliases_would_find,
                ..Coverage::default()
            };
            hint(&coverage).is_some()
        };
        assert_eq!([said(199, 18_000), said(200, 18_000)], [false, true]);
        assert_eq!([said(0, 900), said(1, 900)], [false, true]);
    }
}
