// divides labelled cells into training, validation and test cells and looks for leaks
process CELLDAG_SPLIT {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(assignment, stageAs: 'assignment/*')

    output:
    tuple val(meta), path("${prefix}.split.csv", glob: false), emit: split
    tuple val(meta), path("${prefix}.split.json", glob: false), emit: info
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
    def assignment_arg = assignment ? "--in assignment=${assignment}" : ''
    """
    celldag step split \\
        --in cells=${cells} \\
        ${external_arg} \\
        ${assignment_arg} \\
        --out split=${quote("${prefix}.split.csv")} \\
        --out info=${quote("${prefix}.split.json")} \\
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
    touch ${quote("${prefix}.split.csv")}
    touch ${quote("${prefix}.split.json")}
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
