// divides labelled cells into training, validation and test cells and looks for leaks
process CELLDAG_SPLIT {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(assignment, stageAs: 'assignment/*')

    output:
    tuple val(meta), path("${prefix}.split.csv"), emit: split
    tuple val(meta), path("${prefix}.split.json"), emit: info
    tuple val(meta), path("${prefix}.summary.json"), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache '${task.ext.store}'" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    def external_arg = external ? "--in external=${external}" : ''
    def assignment_arg = assignment ? "--in assignment=${assignment}" : ''
    """
    celldag step split \\
        --in cells=${cells} \\
        ${external_arg} \\
        ${assignment_arg} \\
        --out 'split=${prefix}.split.csv' \\
        --out 'info=${prefix}.split.json' \\
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
    touch '${prefix}.split.csv'
    touch '${prefix}.split.json'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
