// asks a language model behind an OpenAI-compatible endpoint for the class of each cell; names of genes leave this machine
process CELLDAG_PROMPT_CLASSIFY {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(split, stageAs: 'split/*')

    output:
    tuple val(meta), path("${prefix}.predictions.csv"), emit: predictions
    tuple val(meta), path("${prefix}.answered.csv"), emit: answered
    tuple val(meta), path("${prefix}.missing_as_wrong.csv"), emit: missing_as_wrong
    tuple val(meta), path("${prefix}.responses.jsonl"), emit: responses
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
    def split_arg = split ? "--in split=${split}" : ''
    """
    celldag step prompt-classify \\
        --in cells=${cells} \\
        ${external_arg} \\
        ${split_arg} \\
        --out 'predictions=${prefix}.predictions.csv' \\
        --out 'answered=${prefix}.answered.csv' \\
        --out 'missing_as_wrong=${prefix}.missing_as_wrong.csv' \\
        --out 'responses=${prefix}.responses.jsonl' \\
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
    touch '${prefix}.predictions.csv'
    touch '${prefix}.answered.csv'
    touch '${prefix}.missing_as_wrong.csv'
    touch '${prefix}.responses.jsonl'
    touch '${prefix}.summary.json'

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        celldag: \$(celldag --version | sed 's/^celldag //')
    END_VERSIONS
    """
}
