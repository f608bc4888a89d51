#!/usr/bin/env nextflow
// Three modules in a row. To be copied: replace `params.cells` by your own cells, or the channel by your samples.

include { CELLDAG_QC } from './modules/celldag/qc/main'
include { CELLDAG_NORMALIZE } from './modules/celldag/normalize/main'
include { CELLDAG_HVG } from './modules/celldag/hvg/main'

workflow {
    cells = channel.of(tuple([id: 'pbmc'], file(params.cells, checkIfExists: true)))
    CELLDAG_QC(cells)
    CELLDAG_NORMALIZE(CELLDAG_QC.out.cells)
    CELLDAG_HVG(CELLDAG_NORMALIZE.out.cells)
}
