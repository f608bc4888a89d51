// measures how embeddings keep labels apart and batches together (AvgBIO, LISI, ASW ...), beside PCA and variable genes
process CELLDAG_EVALUATE_EMBEDDING {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(embedding, stageAs: 'embedding?/*', arity: '1..*'), val(embedding_labels), path(cells, stageAs: 'cells/*')

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
    if (embedding_labels.size() != embedding.size()) {
        error("CELLDAG_EVALUATE_EMBEDDING: ${meta.id}: ${embedding.size()} files on `embedding`, and ${embedding_labels.size()} labels")
    }
    def embedding_arg = [embedding_labels, embedding].transpose().collect { label, artifact -> "--in embedding:${quote(label)}=${artifact}" }.join(' ')
    def cells_arg = cells ? "--in cells=${cells}" : ''
    """
    celldag step evaluate-embedding \\
        ${embedding_arg} \\
        ${cells_arg} \\
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
