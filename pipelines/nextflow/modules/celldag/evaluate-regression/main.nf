// measures predicted drug responses (ln IC50), also within each drug and line, beside baselines
process CELLDAG_EVALUATE_REGRESSION {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(predictions, stageAs: 'predictions?/*', arity: '1..*'), val(predictions_labels), path(training, stageAs: 'training/*'), path(features, stageAs: 'features/*')

    output:
    tuple val(meta), path("${prefix}.report.json"), emit: report
    tuple val(meta), path("${prefix}.metrics.csv"), emit: metrics
    tuple val(meta), path("${prefix}.summary.json"), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache '${task.ext.store}'" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (predictions_labels.size() != predictions.size()) {
        error("CELLDAG_EVALUATE_REGRESSION: ${meta.id}: ${predictions.size()} files on `predictions`, and ${predictions_labels.size()} labels")
    }
    def predictions_arg = [predictions_labels, predictions].transpose().collect { label, artifact -> "--in 'predictions:${label}='${artifact}" }.join(' ')
    def training_arg = training ? "--in training=${training}" : ''
    def features_arg = features ? "--in features=${features}" : ''
    """
    celldag step evaluate-regression \\
        ${predictions_arg} \\
        ${training_arg} \\
        ${features_arg} \\
        --out 'report=${prefix}.report.json' \\
        --out 'metrics=${prefix}.metrics.csv' \\
        --summary '${prefix}.summary.json' \\
        --job '${meta.id}' \\
        --threads ${task.cpus} ${memory} ${store} ${args}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch '${prefix}.report.json'
    touch '${prefix}.metrics.csv'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
