//! The mark `origin`: a file handle of what a copied-up object was copied from (`struct ovl_fb`).
//!
//! A real handle names an inode of the file system that the lower layer lies on. Here it names the layer and
//! the inode of its tree, in a handle of the same shape and, as on tmpfs, of 33 bytes.

use super::lookup::Real;

/// Version, magic, length, flags and type of a handle, and the file system's UUID, all zero here.
const HEAD: [u8; 21] = {
    let mut head = [0; 21];
    head[1] = 0xfb;
    head[2] = 33;
    head[4] = 0x01;
    head
};

/// The handle of an inode of a lower layer.
pub(super) fn encode(real: Real) -> Vec<u8> {
    let layer = (real.layer as u32).to_le_bytes();
    [&HEAD[..], &layer, &real.number.to_le_bytes()].concat()
}

/// What a handle names; none for one that was made elsewhere.
pub(super) fn decode(value: &[u8]) -> Option<Real> {
    let rest = value.strip_prefix(&HEAD)?;
    let (layer, number) = rest.split_at_checked(4)?;
    Some(Real {
        layer: u32::from_le_bytes(layer.try_into().ok()?) as usize,
        number: u64::from_le_bytes(number.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_inode() {
        let real = Real {
            layer: 3,
            number: 1 << 40,
        };
        let handle = encode(real);
        assert_eq!((handle.len(), decode(&handle)), (33, Some(real)));
        assert_eq!(decode(b""), None);
    }
}
