// measures predictions per fold and over all test cells, beside trivial baselines
process CELLDAG_EVALUATE {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(predictions, stageAs: 'predictions?/*', arity: '1..*'), val(predictions_labels), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(split, stageAs: 'split/*'), path(split_info, stageAs: 'split_info/*'), path(embedding, stageAs: 'embedding/*'), path(external_embedding, stageAs: 'external_embedding/*')

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
        error("CELLDAG_EVALUATE: ${meta.id}: ${predictions.size()} files on `predictions`, and ${predictions_labels.size()} labels")
    }
    def predictions_arg = [predictions_labels, predictions].transpose().collect { label, artifact -> "--in predictions:${quote(label)}=${artifact}" }.join(' ')
    def cells_arg = cells ? "--in cells=${cells}" : ''
    def external_arg = external ? "--in external=${external}" : ''
    def split_arg = split ? "--in split=${split}" : ''
    def split_info_arg = split_info ? "--in split_info=${split_info}" : ''
    def embedding_arg = embedding ? "--in embedding=${embedding}" : ''
    def external_embedding_arg = external_embedding ? "--in external_embedding=${external_embedding}" : ''
    """
    celldag step evaluate \\
        ${predictions_arg} \\
        ${cells_arg} \\
        ${external_arg} \\
        ${split_arg} \\
        ${split_info_arg} \\
        ${embedding_arg} \\
        ${external_embedding_arg} \\
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
