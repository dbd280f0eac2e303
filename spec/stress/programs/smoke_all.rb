# frozen_string_literal: true

# Uses everything in the extension once, while valgrind or the garbage collector under stress watches over the memory,
# and prints "done". Every answer is checked.
#
# ruby -I lib spec/stress/programs/smoke_all.rb [ROUNDS]

require "aikido-zen-ipc"
require "logger"

AGENT = Aikido::Zen::WorkerProcess::Agent
IPC = Aikido::Zen::IPC

# Seconds for a call: many times what the slowest takes under valgrind on a busy machine.
PATIENCE = 120.0

# Bytes: more than the kernel takes at once, so that both sides send and receive it in parts.
BIG = 4 * 1024 * 1024

VALUE = {
  "text" => "\u00e9\u{1f600}\n\"\\", "numbers" => [0, -1, 2**70, 0.1, 1e300], "constants" => [nil, true, false],
  "nested" => [[[{ "deep" => ["x" * 100] }]]], "long" => "y" * 5_000
}.freeze

def check(what, seen, expected)
  raise "#{what}: #{seen.inspect[0, 200]} instead of #{expected.inspect[0, 200]}" unless seen == expected
end

def check_raises(kind)
  yield
rescue kind
  # This error is expected.
else
  raise "#{kind} was not raised"
end

def start_server
  log = Logger.new(nil)
  server = AGENT::Server.new(logger: log, handshake_timeout: PATIENCE, read_timeout: PATIENCE, write_timeout: PATIENCE)
  server.handle("echo") { |respond, *args, **kwargs| respond.call([args, kwargs.transform_keys(&:to_s)]) }
  server.handle("size") { |respond, text| respond.call(text.bytesize) }
  server.handle("repeat") { |respond, count| respond.call("z" * count) }
  server.handle("early") { |respond, value| respond.call(value) && Thread.pass }
  server.handle("fail") { raise "as asked" }
  server.start
  server
end

def client_of(server)
  AGENT::Client.for(server, connect_timeout: PATIENCE, handshake_timeout: PATIENCE, document_timeout: PATIENCE,
                            notify_timeout: PATIENCE, logger: Logger.new(nil))
end

def call_everything(client)
  check("echo", client.invoke("echo", PATIENCE, VALUE, 1, at: "x"), [[VALUE, 1], { "at" => "x" }])
  check("bytes that are no text", client.invoke("echo", PATIENCE, "\xFF"), [["\u{fffd}"], {}])
  check("early", client.invoke("early", PATIENCE, "first"), "first")
  check("notify", client.notify("echo", "no answer"), true)
  check("ping", client.ping(PATIENCE), true)
  check_raises(IPC::RemoteError) { client.invoke("fail", PATIENCE) }
  check_raises(IPC::NoHandlerError) { client.invoke("nothing", PATIENCE) }
  check_raises(IPC::SerializationError) { client.invoke("echo", PATIENCE, Object.new) }
  check_raises(IPC::TimeoutError) { client.invoke("echo", 1e-9) }
end

def send_big_frames(client, size)
  check("a big request", client.invoke("size", PATIENCE, "x" * size), size)
  check("a big response", client.invoke("repeat", PATIENCE, size), "z" * size)
end

def read_documents(server, client, round)
  server.publish("config", JSON_TEXT)
  server.publish("list", Array.new(1_000) { |number| "#{round}.#{number}" })
  check("a document", client.document("config").value, { "on" => [true, 1.5, "x"] })
  check("a changed document", client.document("list").value.last, "#{round}.999")
  check("an unchanged document", client.fetch("list", client.document("list").generation), nil)
end

JSON_TEXT = '{"on": [true, 1.5, "x"]}'

def call_from_threads(client)
  Array.new(4) do |number|
    Thread.new { check("a thread's call", client.invoke("echo", PATIENCE, number), [[number], {}]) }
  end.each(&:join)
end

def interrupt_calls(client)
  threads = Array.new(3) { Thread.new { client.invoke("echo", PATIENCE, VALUE) } }
  threads.each(&:kill).each(&:join)
  check("after kills", client.invoke("echo", PATIENCE, 1), [[1], {}])
end

# The child uses what it inherited.
def fork_and_call(client)
  pid = fork do
    call_everything(client)
    exit!(true)
  end
  check("the child", Process.wait2(pid).last.success?, true)
end

rounds = Integer(ARGV.fetch(0, 1))
size = Integer(ARGV.fetch(1, BIG))
server = start_server
client = client_of(server)
rounds.times do |round|
  call_everything(client)
  send_big_frames(client, size)
  read_documents(server, client, round)
  call_from_threads(client)
  interrupt_calls(client)
  fork_and_call(client)
  check("stop", server.stop(timeout: PATIENCE), true)
  server.start
end
client.close
check_raises(IPC::ClosedError) { client.ping(PATIENCE) }
server.stop(timeout: PATIENCE)
puts "done"
