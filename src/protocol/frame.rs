//! Frames to and from bytes: a 32-bit big-endian length, then that many bytes. No sockets.

use crate::error::{Error, Result};
use crate::sys::alloc;

/// Bytes of the header, which is the length.
pub const HEADER_LENGTH: usize = 4;

/// The header of a frame whose body has `length` bytes.
///
/// # Errors
///
/// [`Error::FrameTooLarge`] if that is over `max_frame_size`.
pub fn header(length: usize, max_frame_size: usize) -> Result<[u8; HEADER_LENGTH]> {
    match u32::try_from(length) {
        Ok(declared) if length <= max_frame_size => Ok(declared.to_be_bytes()),
        _ => Err(Error::FrameTooLarge { size: length as u64, limit: max_frame_size as u64 }),
    }
}

/// The length of the concatenation of `parts`.
pub fn length(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |length, part| length.saturating_add(part.len()))
}

/// The body of a frame that is not sent over a socket: `start` and the concatenation of `parts`.
///
/// # Errors
///
/// As [`header`]; [`Error::System`] if memory is short.
pub fn body(start: Vec<u8>, parts: &[&[u8]], max_frame_size: usize) -> Result<Vec<u8>> {
    let length = length(parts);
    header(start.len().saturating_add(length), max_frame_size)?;
    let mut body = start;
    alloc::try_reserve(&mut body, length)?;
    for part in parts {
        body.extend_from_slice(part);
    }
    Ok(body)
}

/// Collects received bytes and returns complete frames.
#[derive(Debug)]
pub struct FrameDecoder {
    max_frame_size: usize,
    /// Received bytes that are not returned yet; without the header if `frame_len` is known.
    bytes: Vec<u8>,
    /// The length of the frame at the start of `bytes`.
    frame_len: Option<usize>,
}

impl FrameDecoder {
    /// A decoder that accepts frames of up to `max_frame_size` bytes.
    pub fn new(max_frame_size: usize) -> Self {
        Self { max_frame_size, bytes: Vec::new(), frame_len: None }
    }

    /// The body of the next frame, if it is complete.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] as soon as a header declares more than the limit. Nothing is allocated for such a
    /// frame, and the stream cannot be read any further. [`Error::System`] without memory.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.read_header()?.filter(|length| self.bytes.len() >= *length) else { return Ok(None) };
        let rest = alloc::try_to_vec(self.bytes.get(length..).unwrap_or_default())?;
        self.frame_len = None;
        self.bytes.truncate(length);
        Ok(Some(std::mem::replace(&mut self.bytes, rest)))
    }

    /// Returns whether [`FrameDecoder::next_frame`] would return a frame.
    ///
    /// # Errors
    ///
    /// As [`FrameDecoder::next_frame`].
    pub fn has_whole_frame(&mut self) -> Result<bool> {
        let length = self.read_header()?;
        Ok(length.is_some_and(|length| self.bytes.len() >= length))
    }

    /// The buffer to append received bytes to, with spare capacity.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if memory is short.
    pub fn read_buffer(&mut self) -> Result<&mut Vec<u8>> {
        let missing = self.frame_len.map_or(0, |length| length.saturating_sub(self.bytes.len()));
        alloc::try_reserve(&mut self.bytes, missing.clamp(MIN_READ, MAX_READ))?;
        Ok(&mut self.bytes)
    }

    /// Returns whether no byte of another frame has been received.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.frame_len.is_none()
    }

    fn read_header(&mut self) -> Result<Option<usize>> {
        if self.frame_len.is_some() {
            return Ok(self.frame_len);
        }
        let Some((header, _)) = self.bytes.split_first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
        let declared = u64::from(u32::from_be_bytes(*header));
        let limit = self.max_frame_size as u64;
        let length = usize::try_from(declared).ok().filter(|_| declared <= limit);
        let Some(length) = length else { return Err(Error::FrameTooLarge { size: declared, limit }) };
        self.bytes.drain(..HEADER_LENGTH);
        self.frame_len = Some(length);
        Ok(self.frame_len)
    }
}

/// The spare capacity for a read. 1 KiB: nearly every request and response fits; each idle connection of the parent
/// holds this much, and it is the largest block that glibc caches for each thread.
const MIN_READ: usize = 1 << 10;

/// The most memory reserved at once for a declared length. 1 MiB: memory grows with what has really arrived.
const MAX_READ: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [header(body.len(), 1 << 20).unwrap().as_slice(), body].concat()
    }

    #[test]
    fn a_header_is_the_length_in_network_order() {
        assert_eq!(header(258, 1000), Ok([0, 0, 1, 2]));
    }

    #[test]
    fn a_body_at_the_limit_passes_and_one_byte_more_does_not() {
        assert!(header(10, 10).is_ok());
        assert_eq!(header(11, 10), Err(Error::FrameTooLarge { size: 11, limit: 10 }));
        let mut decoder = FrameDecoder::new(10);
        decoder.read_buffer().unwrap().extend(framed(&[7; 10]));
        assert_eq!(decoder.next_frame(), Ok(Some(vec![7; 10])));
        decoder.read_buffer().unwrap().extend(framed(&[7; 11]));
        assert_eq!(decoder.next_frame(), Err(Error::FrameTooLarge { size: 11, limit: 10 }));
    }

    #[test]
    fn a_body_that_crosses_no_socket_has_the_same_limit() {
        assert_eq!(body(b"01".to_vec(), &[b"234", b"", b"56789"], 10), Ok(b"0123456789".to_vec()));
        assert_eq!(body(b"01".to_vec(), &[b"234", b"567890"], 10), Err(Error::FrameTooLarge { size: 11, limit: 10 }));
    }

    #[test]
    fn a_declared_length_over_the_limit_allocates_nothing() {
        let mut decoder = FrameDecoder::new(64 << 20);
        decoder.read_buffer().unwrap().extend([0xff; 4]);
        let capacity = decoder.bytes.capacity();
        assert!(decoder.next_frame().is_err());
        assert_eq!(decoder.bytes.capacity(), capacity);
    }

    #[test]
    fn memory_follows_what_has_arrived_and_not_what_was_declared() {
        let mut decoder = FrameDecoder::new(64 << 20);
        decoder.read_buffer().unwrap().extend((64u32 << 20).to_be_bytes());
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.read_buffer().unwrap().capacity() <= 2 * MAX_READ);
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        let mut decoder = FrameDecoder::new(10);
        decoder.read_buffer().unwrap().extend([0; 4]);
        assert_eq!(decoder.next_frame(), Ok(Some(vec![])));
        assert!(decoder.is_empty());
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_the_frames_are_the_same(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
            cuts in proptest::collection::vec(1usize..64, 1..64),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let mut decoder = FrameDecoder::new(200);
            let mut frames = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, remaining) = rest.split_at(rest.len().min(*cut));
                decoder.read_buffer().unwrap().extend(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    frames.push(frame);
                }
                rest = remaining;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(frames, bodies);
            prop_assert!(decoder.is_empty());
        }
    }
}
