// asks a language model behind an OpenAI-compatible endpoint for the class of each cell; names of genes leave this machine
process CELLDAG_PROMPT_CLASSIFY {
    tag "$meta.id"
    label 'process_low'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(cells, stageAs: 'cells/*'), path(external, stageAs: 'external/*'), path(split, stageAs: 'split/*')

    output:
    tuple val(meta), path("${prefix}.predictions.csv", glob: false), emit: predictions
    tuple val(meta), path("${prefix}.answered.csv", glob: false), emit: answered
    tuple val(meta), path("${prefix}.missing_as_wrong.csv", glob: false), emit: missing_as_wrong
    tuple val(meta), path("${prefix}.responses.jsonl", glob: false), emit: responses
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
    def split_arg = split ? "--in split=${split}" : ''
    """
    celldag step prompt-classify \\
        --in cells=${cells} \\
        ${external_arg} \\
        ${split_arg} \\
        --out predictions=${quote("${prefix}.predictions.csv")} \\
        --out answered=${quote("${prefix}.answered.csv")} \\
        --out missing_as_wrong=${quote("${prefix}.missing_as_wrong.csv")} \\
        --out responses=${quote("${prefix}.responses.jsonl")} \\
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
    touch ${quote("${prefix}.answered.csv")}
    touch ${quote("${prefix}.missing_as_wrong.csv")}
    touch ${quote("${prefix}.responses.jsonl")}
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
