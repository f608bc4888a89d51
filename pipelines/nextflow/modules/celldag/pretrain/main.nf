// trains a Geneformer-style model from nothing to find hidden genes of cells, in the published format
process CELLDAG_PRETRAIN {
    tag "$meta.id"
    label 'process_medium'
    label 'process_gpu'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells?/*', arity: '1..*'), val(cells_labels), path(dictionaries, stageAs: 'dictionaries/*')

    output:
    tuple val(meta), path("${prefix}.checkpoint"), emit: checkpoint
    tuple val(meta), path("${prefix}.history.json"), emit: history
    tuple val(meta), path("${prefix}.summary.json"), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache '${task.ext.store}'" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (cells_labels.size() != cells.size()) {
        error("CELLDAG_PRETRAIN: ${meta.id}: ${cells.size()} files on `cells`, and ${cells_labels.size()} labels")
    }
    def cells_arg = [cells_labels, cells].transpose().collect { label, artifact -> "--in 'cells:${label}='${artifact}" }.join(' ')
    """
    celldag step pretrain \\
        ${cells_arg} \\
        --in dictionaries=${dictionaries} \\
        --out 'checkpoint=${prefix}.checkpoint' \\
        --out 'history=${prefix}.history.json' \\
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
    mkdir -p '${prefix}.checkpoint'
    touch '${prefix}.history.json'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
