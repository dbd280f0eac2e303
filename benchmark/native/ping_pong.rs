//! The bare contenders: two processes on one host send some bytes over a socket and wait for others, and do no more.
//!
//! `ping_pong serve tcp|unix:PATH` prints its address and answers until its standard input ends, a thread for each
//! connection. `ping_pong call ADDRESS THREADS CALLS SECONDS REQUEST_BYTES RESPONSE_BYTES` is one worker of the
//! benchmark: it connects, warms up, writes `R` (ready), waits for a byte, calls, writes `D` (done), waits for a byte, and
//! writes its measurements, as unsigned 64-bit numbers in the machine's order: the time of the whole run, 0 (it allocates
//! no objects), and the time of each round trip. Times are nanoseconds.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// Round trips before the first measured one, which warm up sockets and caches. As in `benchmark/lib/worker.rb`.
const WARM_UP_CALLS: usize = 200;

/// The warm-up ends after 50 ms, because 200 round trips of a megabyte would take too long.
const WARM_UP_TIME: Duration = Duration::from_millis(50);

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", "tcp"] => serve_tcp(),
        ["serve", path] if path.starts_with("unix:") => serve_unix(&path["unix:".len()..]),
        ["call", address, threads, calls, seconds, request, response] => Worker {
            address: (*address).to_owned(),
            threads: number(threads)?,
            calls: number(calls)?,
            time: Duration::from_secs_f64(number(seconds)?),
            request: number(request)?,
            response: number(response)?,
        }
        .run(),
        _ => Err(io::Error::other("usage: see the head of ping_pong.rs")),
    }
}

fn serve_tcp() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    announce(&format!("tcp:{}", listener.local_addr()?.port()))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            thread::spawn(|| answer(stream));
        }
    });
    wait_for_end_of_input()
}

fn serve_unix(path: &str) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    announce(&format!("unix:{path}"))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(|| answer(stream));
        }
    });
    wait_for_end_of_input()
}

fn announce(address: &str) -> io::Result<()> {
    println!("{address}");
    io::stdout().flush()
}

fn wait_for_end_of_input() -> io::Result<()> {
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

/// Answers one connection until the other side closes it. Its first bytes are the lengths of requests and responses.
fn answer(mut stream: impl Stream) -> io::Result<()> {
    let mut lengths = [[0; 8]; 2];
    for length in &mut lengths {
        stream.read_exact(length)?;
    }
    let [request_length, response_length] = lengths.map(|bytes| u64::from_ne_bytes(bytes) as usize);
    let (mut request, response) = (vec![0; request_length], vec![1; response_length]);
    while stream.read_exact(&mut request).is_ok() {
        stream.write_all(&response)?;
    }
    Ok(())
}

struct Worker {
    address: String,
    threads: usize,
    calls: usize,
    time: Duration,
    request: usize,
    response: usize,
}

impl Worker {
    fn run(&self) -> io::Result<()> {
        let connections = (0..self.threads).map(|_| self.connect()).collect::<io::Result<Vec<_>>>()?;
        let barrier = Barrier::new(self.threads + 1);
        let mut measured = vec![0; 2];
        thread::scope(|scope| -> io::Result<()> {
            let callers: Vec<_> =
                connections.into_iter().map(|connection| scope.spawn(|| self.measure(connection, &barrier))).collect();
            signal(b"R")?;
            wait_for_byte()?;
            let started_at = Instant::now();
            barrier.wait();
            for caller in callers {
                measured.extend(caller.join().map_err(|_| io::Error::other("a thread panicked"))??);
            }
            measured.splice(0..2, [started_at.elapsed().as_nanos() as u64, 0]);
            Ok(())
        })?;
        signal(b"D")?;
        wait_for_byte()?;
        let bytes: Vec<u8> = measured.iter().flat_map(|number| number.to_ne_bytes()).collect();
        signal(&bytes)
    }

    /// Connects and warms the connection up.
    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let mut stream: Box<dyn Stream> = match self.address.split_once(':') {
            Some(("tcp", port)) => {
                let stream = TcpStream::connect(("127.0.0.1", number(port)?))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Some(("unix", path)) => Box::new(UnixStream::connect(path)?),
            _ => return Err(io::Error::other("the address is neither tcp:PORT nor unix:PATH")),
        };
        for length in [self.request, self.response] {
            stream.write_all(&(length as u64).to_ne_bytes())?;
        }
        self.call_until(&mut stream, WARM_UP_CALLS, WARM_UP_TIME)?;
        Ok(stream)
    }

    fn measure(&self, mut connection: Box<dyn Stream>, barrier: &Barrier) -> io::Result<Vec<u64>> {
        barrier.wait();
        self.call_until(&mut connection, self.calls, self.time)
    }

    fn call_until(&self, connection: &mut Box<dyn Stream>, calls: usize, time: Duration) -> io::Result<Vec<u64>> {
        let (request, mut response) = (vec![1; self.request], vec![0; self.response]);
        let mut durations = Vec::with_capacity(calls.min(1 << 20));
        let mut started_at = Instant::now();
        let end = started_at + time;
        while durations.len() < calls && started_at < end {
            connection.write_all(&request)?;
            connection.read_exact(&mut response)?;
            let ended_at = Instant::now();
            durations.push((ended_at - started_at).as_nanos() as u64);
            started_at = ended_at;
        }
        Ok(durations)
    }
}

fn wait_for_byte() -> io::Result<()> {
    io::stdin().read_exact(&mut [0])
}

fn signal(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    output.flush()
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("not a number: {text}")))
}
