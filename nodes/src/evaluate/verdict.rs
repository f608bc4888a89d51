//! The sentence that no reader may miss: something without the model is as good.

/// Says that a baseline is as good as a model; both are (name, value of `metric`). `scope` stands behind the numbers.
pub(super) fn sentence(
    (model, own): (&str, f64),
    (baseline, value): (&str, f64),
    metric: &str,
    scope: &str,
) -> String {
    format!(
        "{model} is not better than the baseline `{baseline}`: {metric} {own:.3} against {value:.3}{scope}."
    )
}

/// The sentence, if the best of the baselines is as good as the model; more of the metric is better.
pub(super) fn not_better<'a>(
    model: (&str, f64),
    baselines: impl Iterator<Item = (&'a str, f64)>,
    metric: &str,
    scope: &str,
) -> Option<String> {
    let best = baselines.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (model.1 <= best.1).then(|| sentence(model, best, metric, scope))
}
