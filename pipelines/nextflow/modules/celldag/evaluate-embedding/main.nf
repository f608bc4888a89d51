// measures how embeddings keep labels apart and batches together (AvgBIO, LISI, ASW ...), beside PCA and variable genes
process CELLDAG_EVALUATE_EMBEDDING {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(embedding, stageAs: 'embedding?/*', arity: '1..*'), val(embedding_labels), path(cells, stageAs: 'cells/*')

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
    if (embedding_labels.size() != embedding.size()) {
        error("CELLDAG_EVALUATE_EMBEDDING: ${meta.id}: ${embedding.size()} files on `embedding`, and ${embedding_labels.size()} labels")
    }
    def embedding_arg = [embedding_labels, embedding].transpose().collect { label, artifact -> "--in 'embedding:${label}='${artifact}" }.join(' ')
    def cells_arg = cells ? "--in cells=${cells}" : ''
    """
    celldag step evaluate-embedding \\
        ${embedding_arg} \\
        ${cells_arg} \\
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
