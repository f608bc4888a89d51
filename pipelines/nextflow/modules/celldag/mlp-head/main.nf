// trains a multilayer perceptron on frozen embeddings per fold and scores the test cells
process CELLDAG_MLP_HEAD {
    tag "$meta.id"
    label 'process_medium'
    label 'process_gpu'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(embedding, stageAs: 'embedding/*'), path(split, stageAs: 'split/*'), path(external, stageAs: 'external/*')

    output:
    tuple val(meta), path("${prefix}.predictions.csv", glob: false), emit: predictions
    tuple val(meta), path("${prefix}.head", glob: false), emit: head
    tuple val(meta), path("${prefix}.history.json", glob: false), emit: history
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def external_arg = external ? "--in external=${external}" : ''
    """
    celldag step mlp-head \\
        --in embedding=${embedding} \\
        --in split=${split} \\
        ${external_arg} \\
        --out predictions=${quote("${prefix}.predictions.csv")} \\
        --out head=${quote("${prefix}.head")} \\
        --out history=${quote("${prefix}.history.json")} \\
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
    mkdir -p ${quote("${prefix}.head")}
    touch ${quote("${prefix}.history.json")}
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
