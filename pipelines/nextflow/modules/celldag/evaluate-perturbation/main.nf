// measures predicted mean expression after perturbations beside the control and mean effects
process CELLDAG_EVALUATE_PERTURBATION {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(predictions, stageAs: 'predictions?/*', arity: '1..*'), val(predictions_labels), path(truth, stageAs: 'truth/*')

    output:
    tuple val(meta), path("${prefix}.report.json", glob: false), emit: report
    tuple val(meta), path("${prefix}.metrics.csv", glob: false), emit: metrics
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (predictions_labels.size() != predictions.size()) {
        error("CELLDAG_EVALUATE_PERTURBATION: ${meta.id}: ${predictions.size()} files on `predictions`, and ${predictions_labels.size()} labels")
    }
    def predictions_arg = [predictions_labels, predictions].transpose().collect { label, artifact -> "--in predictions:${quote(label)}=${artifact}" }.join(' ')
    """
    celldag step evaluate-perturbation \\
        ${predictions_arg} \\
        --in truth=${truth} \\
        --out report=${quote("${prefix}.report.json")} \\
        --out metrics=${quote("${prefix}.metrics.csv")} \\
        --summary ${quote("${prefix}.summary.json")} \\
        --job ${quote(meta.id)} \\
        --threads ${task.cpus} ${memory} ${store} ${args}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """

    stub:
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    touch ${quote("${prefix}.report.json")}
    touch ${quote("${prefix}.metrics.csv")}
    touch ${quote("${prefix}.summary.json")}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}

// A text as one word of Bash. It has no line end: Nextflow takes the indent off every line of a script.
def quote(text) {
    "'" + text.toString().replace("'", "'\\''").replace('\n', "'\$'\\n''").replace('\r', "'\$'\\r''") + "'"
}
