//! Fuzzes the decoder with a stream of frames that is cut anywhere: it returns the frames in it, and refuses a length
//! over its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zen_ipc::Error;
use zen_ipc::protocol::frame::{FrameDecoder, HEADER_LENGTH, header};

// The first byte of the input is the limit, the second the length of the pieces.
fuzz_target!(|input: &[u8]| if let [limit, cut, stream @ ..] = input {
    assert_eq!(decoded((*limit).into(), (*cut).into(), stream), sliced((*limit).into(), stream));
});

/// The decoded frames, and the size for which the stream was refused.
type Frames = (Vec<Vec<u8>>, Option<u64>);

fn decoded(limit: usize, cut: usize, stream: &[u8]) -> Frames {
    let mut decoder = FrameDecoder::new(limit);
    let mut frames = Vec::new();
    for piece in stream.chunks(cut.max(1)) {
        decoder.read_buffer().unwrap().extend(piece);
        loop {
            let has_frame = decoder.has_whole_frame();
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    assert_eq!(has_frame, Ok(true));
                    assert_eq!(header(frame.len(), limit).map(|_| ()), Ok(()));
                    frames.push(frame);
                }
                Ok(None) => break assert_eq!(has_frame, Ok(false)),
                Err(Error::FrameTooLarge { size, .. }) => return (frames, Some(size)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    (frames, None)
}

fn sliced(limit: usize, mut stream: &[u8]) -> Frames {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<HEADER_LENGTH>() {
        let length = u32::from_be_bytes(*length);
        if length as usize > limit {
            return (frames, Some(length.into()));
        }
        let Some((frame, rest)) = rest.split_at_checked(length as usize) else { break };
        frames.push(frame.to_vec());
        stream = rest;
    }
    (frames, None)
}
