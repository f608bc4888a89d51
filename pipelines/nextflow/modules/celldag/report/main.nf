// one self-contained HTML page: pipeline, counts at each step, metrics with baselines, figures, warnings
process CELLDAG_REPORT {
    tag "$meta.id"
    label 'process_single'
    label 'celldag'
    cache 'deep'

    input:
    tuple val(meta), path(metrics, stageAs: 'metrics?/*', arity: '1..*'), val(metrics_labels), path(lineage, stageAs: 'lineage/*'), path(above, stageAs: 'above?/*')

    output:
    tuple val(meta), path("${prefix}.report.html", glob: false), emit: page
    tuple val(meta), path("${prefix}.summary.json", glob: false), emit: summary
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def store = task.ext.store ? "--cache ${quote(task.ext.store)}" : '--no-cache'
    def memory = task.memory ? "--memory ${task.memory.toMega()}MiB" : ''
    prefix = task.ext.prefix ?: "${meta.id}"
    if (metrics_labels.size() != metrics.size()) {
        error("CELLDAG_REPORT: ${meta.id}: ${metrics.size()} files on `metrics`, and ${metrics_labels.size()} labels")
    }
    def metrics_arg = [metrics_labels, metrics].transpose().collect { label, artifact -> "--in metrics:${quote(label)}=${artifact}" }.join(' ')
    def lineage_arg = lineage ? "--lineage ${lineage} --above ${above}" : ''
    """
    celldag step report \\
        ${metrics_arg} \\
        ${lineage_arg} \\
        --out page=${quote("${prefix}.report.html")} \\
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
    touch ${quote("${prefix}.report.html")}
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
