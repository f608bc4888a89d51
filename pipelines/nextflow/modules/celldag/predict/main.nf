// scores cells without labels with trained heads: the mean over the folds, and each fold
process CELLDAG_PREDICT {
    tag "$meta.id"
    label 'process_single'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(embedding, stageAs: 'embedding/*'), path(head, stageAs: 'head?/*', arity: '1..*'), val(head_labels), path(lineage, stageAs: 'lineage/*'), path(above, stageAs: 'above?/*')

    output:
    tuple val(meta), path("${prefix}.predictions.csv", glob: false), emit: predictions
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (head_labels.size() != head.size()) {
        error("CELLDAG_PREDICT: ${meta.id}: ${head.size()} files on `head`, and ${head_labels.size()} labels")
    }
    def head_arg = [head_labels, head].transpose().collect { label, artifact -> "--in head:${quote(label)}=${artifact}" }.join(' ')
    def lineage_arg = lineage ? "--lineage ${lineage} --above ${above}" : ''
    """
    celldag step predict \\
        --in embedding=${embedding} \\
        ${head_arg} \\
        ${lineage_arg} \\
        --out predictions=${quote("${prefix}.predictions.csv")} \\
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
    touch ${quote("${prefix}.predictions.csv")}
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
