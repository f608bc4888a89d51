//! The table of members at the end of a zip archive (APPNOTE 6.3, with the 64-bit extensions), compared with the file:
//! members may not repeat, overlap, leave the file, be encrypted or have names that climb out of a folder.

use std::collections::BTreeMap;

use super::error::CheckpointError;
use super::source::Source;

/// The most members; the largest published file has 20,000.
const MAX_MEMBERS: u64 = 1 << 20;
/// The most bytes of the table.
const MAX_TABLE: u64 = 256 << 20;
/// Length of the record that ends an archive, without its comment.
const END: usize = 22;
const LOCAL: usize = 30;

/// One member as the table has it.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Where its local header begins.
    header: u64,
    /// Where the next member or the table begins.
    limit: u64,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) method: u16,
    pub(super) crc: u32,
}

/// Little-endian numbers out of bytes; nothing beyond the end.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(self, at: usize, count: usize) -> Option<&'a [u8]> {
        self.0.get(at..at.checked_add(count)?)
    }

    fn u16(self, at: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes(at, 2)?.try_into().ok()?))
    }

    fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(at, 4)?.try_into().ok()?))
    }

    fn u64(self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes(at, 8)?.try_into().ok()?))
    }
}

/// The members by name.
pub(super) fn read(source: &Source) -> Result<BTreeMap<String, Member>, CheckpointError> {
    let (start, size, count) = ending(source)?;
    let table_end = start.checked_add(size).filter(|&end| end <= source.len());
    if table_end.is_none() || size > MAX_TABLE || count > MAX_MEMBERS {
        return Err(damaged(source, format!("its table claims {count} members in {size} bytes at {start}")));
    }
    let table = source.read_up_to(start, usize::try_from(size).unwrap_or(usize::MAX))?;
    let mut members = BTreeMap::new();
    let mut rest = table.as_slice();
    for _ in 0..count {
        let (name, member, length) = entry(Fields(rest), start)
            .ok_or_else(|| damaged(source, "its table of members is damaged".to_owned()))?
            .map_err(|reason| damaged(source, reason))?;
        rest = &rest[length..];
        if members.contains_key(&name) {
            return Err(damaged(source, format!("two members are called `{name}`")));
        }
        members.insert(name, member);
    }
    check_overlap(source, &mut members)?;
    Ok(members)
}

/// Where the bytes of a member begin.
pub(super) fn data_start(source: &Source, name: &str, member: &Member) -> Result<u64, CheckpointError> {
    let header = source.read_up_to(member.header, LOCAL + name.len())?;
    let fields = Fields(&header);
    let local_name = fields.bytes(LOCAL, name.len());
    let start = (|| {
        let same = fields.bytes(0, 4)? == b"PK\x03\x04" && usize::from(fields.u16(26)?) == name.len();
        let length = LOCAL + name.len() + usize::from(fields.u16(28)?);
        let start = member.header + length as u64;
        (same && start.checked_add(member.compressed)? <= member.limit).then_some(start)
    })();
    match start {
        Some(start) if local_name == Some(name.as_bytes()) => Ok(start),
        _ => Err(damaged(source, format!("the header of `{name}` contradicts the table of members"))),
    }
}

fn damaged(source: &Source, reason: String) -> CheckpointError {
    CheckpointError::Archive { path: source.path().to_path_buf(), reason }
}

/// Start and size of the table, and how many members it has.
fn ending(source: &Source) -> Result<(u64, u64, u64), CheckpointError> {
    let tail_length = (END + usize::from(u16::MAX)) as u64;
    let tail_start = source.len().saturating_sub(tail_length);
    let tail = source.read_up_to(tail_start, END + usize::from(u16::MAX))?;
    let cut = || damaged(source, "it has no table of members: the file is cut off".to_owned());
    let last = tail.len().checked_sub(END).ok_or_else(cut)?;
    let at = (0..=last)
        .rev()
        .find(|&at| {
            let record = Fields(&tail[at..]);
            record.bytes(0, 4) == Some(b"PK\x05\x06")
                && record.u16(20).is_some_and(|comment| at + END + usize::from(comment) == tail.len())
        })
        .ok_or_else(cut)?;
    let record = Fields(&tail[at..]);
    let (Some(disk), Some(count), Some(size), Some(start)) =
        (record.u32(4), record.u16(10), record.u32(12), record.u32(16))
    else {
        return Err(cut());
    };
    let wide = count == u16::MAX || size == u32::MAX || start == u32::MAX;
    let locator = at.checked_sub(20).map(|locator| Fields(&tail[locator..at]));
    if let Some(locator) = locator
        && locator.bytes(0, 4) == Some(b"PK\x06\x07")
        && let Some(place) = locator.u64(8)
    {
        let bytes = source.read_up_to(place.min(source.len()), 56)?;
        let record = Fields(&bytes);
        return match (record.bytes(0, 4), record.u64(32), record.u64(40), record.u64(48)) {
            (Some(b"PK\x06\x06"), Some(count), Some(size), Some(start)) => Ok((start, size, count)),
            _ => Err(damaged(source, "its 64-bit ending is damaged".to_owned())),
        };
    }
    if wide || disk != 0 {
        return Err(damaged(source, "it is part of an archive of several files, or damaged".to_owned()));
    }
    Ok((start.into(), size.into(), count.into()))
}

/// The first member of what is left of the table, with the length of its record. `None` where the record is cut.
fn entry(record: Fields<'_>, table: u64) -> Option<Result<(String, Member, usize), String>> {
    if record.bytes(0, 4)? != b"PK\x01\x02" {
        return None;
    }
    let (flags, method, crc) = (record.u16(8)?, record.u16(10)?, record.u32(16)?);
    let mut sizes = [record.u32(24)?.into(), record.u32(20)?.into(), record.u32(42)?.into()];
    let (name, extra, comment) =
        (record.u16(28)?.into(), usize::from(record.u16(30)?), usize::from(record.u16(32)?));
    let length = 46 + name + extra + comment;
    record.bytes(0, length)?;
    widen(Fields(record.bytes(46 + name, extra)?), &mut sizes)?;
    let [size, compressed, header] = sizes;
    let Ok(name) = std::str::from_utf8(record.bytes(46, name)?) else {
        return Some(Err("a member's name is no UTF-8".to_owned()));
    };
    if flags & 1 != 0 {
        return Some(Err(format!("`{name}` is encrypted")));
    }
    let climbs = name.split(['/', '\\']).any(|part| part == "..");
    if name.is_empty() || climbs || name.starts_with(['/', '\\']) || name.contains('\0') {
        return Some(Err(format!("a member is called `{}`, which leaves its folder", name.escape_debug())));
    }
    let member = Member { header, limit: table, compressed, size, method, crc };
    Some(Ok((name.to_owned(), member, length)))
}

/// Takes numbers beyond 32 bits from the extra field.
fn widen(mut extra: Fields<'_>, sizes: &mut [u64; 3]) -> Option<()> {
    while extra.0.len() >= 4 {
        let (kind, length) = (extra.u16(0)?, usize::from(extra.u16(2)?));
        let content = Fields(extra.bytes(4, length)?);
        if kind == 1 {
            let mut at = 0;
            for size in sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX)) {
                *size = content.u64(at)?;
                at += 8;
            }
        }
        extra = Fields(&extra.0[4 + length..]);
    }
    Some(())
}

/// Members must lie one behind the other, all of them before the table.
fn check_overlap(source: &Source, members: &mut BTreeMap<String, Member>) -> Result<(), CheckpointError> {
    let mut order: Vec<(&String, &mut Member)> = members.iter_mut().collect();
    order.sort_by_key(|(_, member)| member.header);
    let mut limit = order.first().map_or(0, |(_, member)| member.limit);
    for (name, member) in order.into_iter().rev() {
        let end = (LOCAL as u64 + name.len() as u64)
            .checked_add(member.compressed)
            .and_then(|length| member.header.checked_add(length));
        if end.is_none_or(|end| end > limit) {
            return Err(damaged(source, format!("`{name}` overlaps what stands behind it")));
        }
        member.limit = limit;
        limit = member.header;
    }
    Ok(())
}
