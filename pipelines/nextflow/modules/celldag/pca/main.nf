// exact principal components of log-normalised values
process CELLDAG_PCA {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells/*')

    output:
    tuple val(meta), path("${prefix}.embedding.h5ad", glob: false), emit: embedding
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    celldag step pca \\
        --in cells=${cells} \\
        --out embedding=${quote("${prefix}.embedding.h5ad")} \\
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
    touch ${quote("${prefix}.embedding.h5ad")}
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
