// trains low-rank adapters of a model together with a head per fold and scores the test cells
process CELLDAG_LORA_TRAIN {
    tag "$meta.id"
    label 'process_medium'
    label 'process_gpu'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(tokens, stageAs: 'tokens/*'), path(checkpoint, stageAs: 'checkpoint/*'), path(split, stageAs: 'split/*'), path(external, stageAs: 'external/*')

    output:
    tuple val(meta), path("${prefix}.adapter"), emit: adapter
    tuple val(meta), path("${prefix}.predictions.csv"), emit: predictions
    tuple val(meta), path("${prefix}.head"), emit: head
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
    def external_arg = external ? "--in external=${external}" : ''
    """
    celldag step lora-train \\
        --in tokens=${tokens} \\
        --in checkpoint=${checkpoint} \\
        --in split=${split} \\
        ${external_arg} \\
        --out 'adapter=${prefix}.adapter' \\
        --out 'predictions=${prefix}.predictions.csv' \\
        --out 'head=${prefix}.head' \\
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
    mkdir -p '${prefix}.adapter'
    touch '${prefix}.predictions.csv'
    mkdir -p '${prefix}.head'
    touch '${prefix}.history.json'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
