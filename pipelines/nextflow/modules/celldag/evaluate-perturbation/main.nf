// measures predicted mean expression after perturbations beside the control and mean effects
process CELLDAG_EVALUATE_PERTURBATION {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(predictions, stageAs: 'predictions?/*', arity: '1..*'), val(predictions_labels), path(truth, stageAs: 'truth/*')

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
        error("CELLDAG_EVALUATE_PERTURBATION: ${meta.id}: ${predictions.size()} files on `predictions`, and ${predictions_labels.size()} labels")
    }
    def predictions_arg = [predictions_labels, predictions].transpose().collect { label, artifact -> "--in 'predictions:${label}='${artifact}" }.join(' ')
    """
    celldag step evaluate-perturbation \\
        ${predictions_arg} \\
        --in truth=${truth} \\
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
