// runs a model over SMILES and writes one vector a drug
process CELLDAG_EMBED_DRUG {
    tag "$meta.id"
    label 'process_medium'
    label 'process_gpu'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(drugs, stageAs: 'drugs/*'), path(checkpoint, stageAs: 'checkpoint/*')

    output:
    tuple val(meta), path("${prefix}.drugs.csv"), emit: embedding
    tuple val(meta), path("${prefix}.summary.json"), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache '${task.ext.store}'" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    """
    celldag step embed-drug \\
        --in drugs=${drugs} \\
        --in checkpoint=${checkpoint} \\
        --out 'embedding=${prefix}.drugs.csv' \\
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
    touch '${prefix}.drugs.csv'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
