//! What an adapter can do beyond the WebGPU baseline. Everything that is present is requested when the device is opened,
//! except cooperative matrices: they are experimental in wgpu and only switched on for a precision that needs them.

use crate::device::DeviceOptions;
use crate::precision::Precision;

/// Optional features that kernels and launchers can make use of, by their WebGPU names.
const KNOWN: &[(&str, wgpu::Features)] = &[
    ("subgroups", wgpu::Features::SUBGROUP),
    ("shader-f16", wgpu::Features::SHADER_F16),
    (COOPERATIVE, wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
    ("timestamp-query", wgpu::Features::TIMESTAMP_QUERY),
    ("immediates", wgpu::Features::IMMEDIATES),
    ("pipeline-cache", wgpu::Features::PIPELINE_CACHE),
];

const COOPERATIVE: &str = "cooperative-matrix";

/// The most bytes of parameters of a kernel. Adapters with less immediate data get them in a uniform buffer.
pub(super) const MOST_IMMEDIATES: u32 = 128;

/// One product that the cooperative matrix units do: `[m, k]` times `[k, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CooperativeShape {
    /// Rows of the first factor.
    pub m: u32,
    /// Columns of the second factor.
    pub n: u32,
    /// Inner size.
    pub k: u32,
    /// Whether the factors are f16 (else f32).
    pub f16_factors: bool,
    /// Whether the sums are f16 (else f32).
    pub f16_sums: bool,
}

/// The optional features of an open adapter. A feature that is not here was not requested and must not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Features {
    /// Smallest and largest subgroup, if kernels may use subgroup operations.
    pub(crate) subgroups: Option<(u32, u32)>,
    /// Arithmetic and storage in f16.
    pub(crate) f16: bool,
    /// Products of the cooperative matrix units, as the driver reports them; none unless the precision asks for them.
    pub(crate) cooperative: Vec<CooperativeShape>,
    /// Time stamps of compute passes.
    pub(crate) timestamps: bool,
    /// Parameters of kernels as immediate data of dispatches.
    pub(crate) immediates: bool,
    /// Compiled pipelines can be kept in files.
    pub(crate) pipeline_cache: bool,
}

impl Features {
    /// What to request from `adapter`.
    pub(super) fn wanted(adapter: &wgpu::Adapter, options: &DeviceOptions) -> wgpu::Features {
        let mut usable = KNOWN.iter().fold(wgpu::Features::SUBGROUP_BARRIER, |all, (_, flag)| all | *flag);
        if options.precision == Precision::F32 {
            usable.remove(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
        }
        if options.uniform_parameters {
            usable.remove(wgpu::Features::IMMEDIATES);
        }
        adapter.features() & usable
    }

    /// What a device has whose features `requested` were granted.
    pub(super) fn granted(adapter: &wgpu::Adapter, requested: wgpu::Features) -> Features {
        let found = adapter.get_info();
        let has = |flag| requested.contains(flag);
        Features {
            subgroups: has(wgpu::Features::SUBGROUP)
                .then_some((found.subgroup_min_size, found.subgroup_max_size)),
            f16: has(wgpu::Features::SHADER_F16),
            cooperative: if has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
                cooperative_shapes(adapter)
            } else {
                Vec::new()
            },
            timestamps: has(wgpu::Features::TIMESTAMP_QUERY),
            immediates: has(wgpu::Features::IMMEDIATES)
                && adapter.limits().max_immediate_size >= MOST_IMMEDIATES,
            pipeline_cache: has(wgpu::Features::PIPELINE_CACHE),
        }
    }
}

/// Names of the optional features in `present`.
pub(super) fn names(present: wgpu::Features) -> Vec<&'static str> {
    KNOWN.iter().filter(|(_, flag)| present.contains(*flag)).map(|(name, _)| *name).collect()
}

/// The floating-point products that the driver reports.
pub(super) fn cooperative_shapes(adapter: &wgpu::Adapter) -> Vec<CooperativeShape> {
    let half = |kind| match kind {
        wgpu::CooperativeScalarType::F16 => Some(true),
        wgpu::CooperativeScalarType::F32 => Some(false),
        wgpu::CooperativeScalarType::I32 | wgpu::CooperativeScalarType::U32 => None,
    };
    let shapes = adapter.cooperative_matrix_properties().into_iter().filter_map(|shape| {
        let (f16_factors, f16_sums) = (half(shape.ab_type)?, half(shape.cr_type)?);
        Some(CooperativeShape { m: shape.m_size, n: shape.n_size, k: shape.k_size, f16_factors, f16_sums })
    });
    shapes.collect()
}
