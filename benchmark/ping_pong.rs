//! The least that two processes on one host can do: send some bytes over loopback TCP and wait for others.
//!
//! `ping_pong CALLS REQUEST_BYTES RESPONSE_BYTES` prints the nanoseconds of each round trip, one a line.

use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

/// Round trips before the first that counts: fresh sockets and caches.
const WARM_UP: usize = 1000;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [calls, request, response] => measure(number(calls)?, number(request)?, number(response)?),
        ["answer", port, request, response] => {
            let stream = TcpStream::connect(("127.0.0.1", number(port)?))?;
            answer(stream, number(request)?, number(response)?)
        }
        _ => Err(io::Error::other("usage: ping_pong CALLS REQUEST_BYTES RESPONSE_BYTES")),
    }
}

fn measure(calls: usize, request_length: usize, response_length: usize) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let lengths = [listener.local_addr()?.port().to_string(), request_length.to_string(), response_length.to_string()];
    let mut other_process = Command::new(std::env::current_exe()?).arg("answer").args(lengths).spawn()?;
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let (request, mut response) = (vec![1; request_length], vec![0; response_length]);
    let mut durations = Vec::with_capacity(calls);
    for call in 0..WARM_UP + calls {
        let started_at = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut response)?;
        if call >= WARM_UP {
            durations.push(started_at.elapsed());
        }
    }
    drop(stream);
    other_process.wait()?;
    let mut output = BufWriter::new(io::stdout().lock());
    durations.iter().try_for_each(|duration| writeln!(output, "{}", duration.as_nanos()))
}

fn answer(mut stream: TcpStream, request_length: usize, response_length: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut request, response) = (vec![0; request_length], vec![1; response_length]);
    // Until the other side closes the connection.
    while stream.read_exact(&mut request).is_ok() {
        stream.write_all(&response)?;
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not a number: {text}")))
}
