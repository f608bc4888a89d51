// puts the raw counts of several data sets into one file, with a column that names them
process CELLDAG_CONCAT {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells?/*', arity: '1..*'), val(cells_labels)

    output:
    tuple val(meta), path("${prefix}.cells.h5ad", glob: false), emit: cells
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (cells_labels.size() != cells.size()) {
        error("CELLDAG_CONCAT: ${meta.id}: ${cells.size()} files on `cells`, and ${cells_labels.size()} labels")
    }
    def cells_arg = [cells_labels, cells].transpose().collect { label, artifact -> "--in cells:${quote(label)}=${artifact}" }.join(' ')
    """
    celldag step concat \\
        ${cells_arg} \\
        --out cells=${quote("${prefix}.cells.h5ad")} \\
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
    touch ${quote("${prefix}.cells.h5ad")}
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
