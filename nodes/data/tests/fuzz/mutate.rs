//! Random changes of bytes, drawn from a seeded generator so that a failure can be repeated.

/// A generator of random numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Numbers that lengths and offsets like to break at.
const NUMBERS: [u64; 14] = [
    0,
    1,
    2,
    7,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 32,
    1 << 40,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];
/// Instructions of pickles and other words of the formats.
const WORDS: [&[u8]; 28] = [
    b"(",
    b")",
    b"t",
    b"\x85",
    b"\x86",
    b"R",
    b"b",
    b"Q",
    b"\x81",
    b"0",
    b"2",
    b"]",
    b"}",
    b"a",
    b"e",
    b"s",
    b"u",
    b"h\x00",
    b"q\x00",
    b"\x94",
    b".",
    b"N",
    b"K\x05",
    b"I-1\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"PK\x03\x04",
    b"cargparse\nNamespace\n",
];

/// A change of one seed, sometimes with a piece of another.
pub(crate) fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(6) {
        change(random, &mut data, seeds);
    }
    data.truncate(1 << 17);
    data
}

fn change(random: &mut Random, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.below(data.len() + 1);
    let length = random.below(1 + (data.len() - at).min(64));
    match random.below(10) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = random.below(256) as u8;
            }
        }
        2 => data.truncate(at),
        3 => drop(data.drain(at..at + length)),
        4 => {
            let piece = data[at..at + length].to_vec();
            let times = 1 + random.below(4);
            drop(data.splice(at..at, piece.repeat(times)));
        }
        5 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let to = from + random.below(1 + (other.len() - from).min(200));
            drop(data.splice(at..at + length, other[from..to].iter().copied()));
        }
        6 | 7 => {
            let number = NUMBERS[random.below(NUMBERS.len())].wrapping_add(random.below(3) as u64);
            let width = [1, 2, 4, 8][random.below(4)];
            if let Some(field) = data.get_mut(at..at + width) {
                field.copy_from_slice(&number.to_le_bytes()[..width]);
            }
        }
        8 => drop(data.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
        _ => {
            let number = NUMBERS[random.below(NUMBERS.len())].to_string();
            let digits = data[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            drop(data.splice(at..at + digits, number.into_bytes()));
        }
    }
}
