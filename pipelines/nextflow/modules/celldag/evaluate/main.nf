// measures predictions per fold and over all test cells, beside trivial baselines
process CELLDAG_EVALUATE {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(predictions, stageAs: 'predictions?/*', arity: '1..*'), val(predictions_labels), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(split, stageAs: 'split/*'), path(split_info, stageAs: 'split_info/*'), path(embedding, stageAs: 'embedding/*'), path(external_embedding, stageAs: 'external_embedding/*')

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
        error("CELLDAG_EVALUATE: ${meta.id}: ${predictions.size()} files on `predictions`, and ${predictions_labels.size()} labels")
    }
    def predictions_arg = [predictions_labels, predictions].transpose().collect { label, artifact -> "--in 'predictions:${label}='${artifact}" }.join(' ')
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
