//! What an adapter can do beyond the WebGPU baseline. Everything that is present is requested when the device is opened,
//! except cooperative matrices: they are experimental in wgpu and only switched on for a precision that needs them.

use crate::error::DeviceError;
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
    /// Bytes of immediate data of a dispatch, if there are any.
    pub(crate) immediates: Option<u32>,
    /// Compiled pipelines can be kept in files.
    pub(crate) pipeline_cache: bool,
}

impl Features {
    /// What to request from `adapter` for work in `precision`.
    pub(super) fn wanted(adapter: &wgpu::Adapter, precision: Precision) -> wgpu::Features {
        let known = KNOWN.iter().fold(wgpu::Features::SUBGROUP_BARRIER, |all, (_, flag)| all | *flag);
        let usable = match precision {
            Precision::F32 => known - wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX,
            Precision::F32x3 | Precision::F16 => known,
        };
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
            immediates: has(wgpu::Features::IMMEDIATES).then(|| adapter.limits().max_immediate_size),
            pipeline_cache: has(wgpu::Features::PIPELINE_CACHE),
        }
    }

    /// Whether the cooperative matrix units multiply f16 into f32, which both reduced precisions are made of.
    pub(crate) fn multiplies_f16_into_f32(&self) -> bool {
        self.f16 && self.cooperative.iter().any(|shape| shape.f16_factors && !shape.f16_sums)
    }

    /// Checks that work in `precision` is possible.
    pub(super) fn expect(&self, precision: Precision, device: &str) -> Result<(), DeviceError> {
        if precision == Precision::F32 || self.multiplies_f16_into_f32() {
            return Ok(());
        }
        let why = "the adapter has no cooperative matrices that multiply f16 into f32".to_owned();
        Err(DeviceError::Precision { device: device.to_owned(), precision, why })
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
